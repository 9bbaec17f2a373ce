import {
  Background,
  BackgroundVariant,
  Controls,
  type EdgeChange,
  MiniMap,
  type NodeChange,
  type OnConnectEnd,
  ReactFlow,
  ReactFlowProvider,
  SelectionMode,
  useReactFlow,
} from "@xyflow/react";
import { useLayoutEffect, useMemo, useRef, useState } from "react";
import { place, reconnect } from "../../core/edits.ts";
import { GRID, snap } from "../../core/geometry.ts";
import { edgeId, makeEdge } from "../../core/graph.ts";
import { mayConnect } from "../../core/rules.ts";
import { speaker } from "../../core/speech.ts";
import type { Point } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { nextPort, tryConnect } from "../steps.ts";
import { useStore } from "../use-store.ts";
import { ArrowHead } from "./arrow-head.tsx";
import { CULL_FROM, firstViewport, MAX_ZOOM, MIN_ZOOM, MINI } from "./drawing.ts";
import { useDrop } from "./drop.ts";
import { EditStep } from "./edit-step.tsx";
import { useFar } from "./far.ts";
import { useCanvasHandle } from "./handle.ts";
import { type AnyNode, INPUT, NodeCache, type WireEdge } from "./nodes.ts";
import { NoteNode } from "./note-node.tsx";
import { Wire } from "./wire.tsx";

const nodeTypes = { step: EditStep, note: NoteNode };
const edgeTypes = { wire: Wire };
const NOWHERE: ReadonlyMap<string, Point> = new Map();

/** The nodes and edges of the present document, with steps that are being dragged at their passing places. */
function useDrawing(places: ReadonlyMap<string, Point>, far: boolean) {
  const designer = useDesigner();
  const { document, selected, edges } = useStore(designer.editor);
  const found = useStore(designer.found);
  const cache = useRef(new NodeCache());
  const speak = useMemo(
    () => speaker(document, designer.kindOf, (key) => found.byStep.get(key) ?? []),
    [document, found, designer],
  );
  const nodes = useMemo(() => {
    const [first] = selected;
    const stop = first ?? document.steps[0]?.key ?? null;
    return cache.current.nodes(document, {
      selected,
      places,
      stop,
      spoken: speak,
      kindOf: designer.kindOf,
      far,
    });
  }, [document, selected, places, speak, designer, far]);
  const wires = useMemo(
    () => (far ? [] : cache.current.edges(document, edges, designer.kindOf)),
    [document, edges, designer, far],
  );
  return { nodes, wires, count: document.steps.length };
}

/** Passing places while dragging; one command when the drag ends. */
function useDragging() {
  const designer = useDesigner();
  const [places, setPlaces] = useState(NOWHERE);
  const during = (changes: NodeChange<AnyNode>[]): void => {
    const moved = changes.flatMap((change) =>
      change.type === "position" && change.position && change.dragging
        ? [[change.id, [change.position.x, change.position.y] as Point] as const]
        : [],
    );
    if (moved.length) setPlaces((old) => new Map([...old, ...moved]));
  };
  const end = (nodes: AnyNode[]): void => {
    const last = new Map(nodes.map((node) => [node.id, snap([node.position.x, node.position.y])] as const));
    designer.editor.seal();
    designer.run((doc) => place(doc, last, "Move", "drag"));
    setPlaces(NOWHERE);
  };
  return { places, during, end };
}

function useSelection() {
  const { editor } = useDesigner();
  const nodes = (changes: NodeChange<AnyNode>[]): void => {
    const next = new Set(editor.get().selected);
    for (const change of changes) {
      if (change.type !== "select") continue;
      if (change.selected) next.add(change.id);
      else next.delete(change.id);
    }
    editor.select(next, editor.get().edges);
  };
  const edges = (changes: EdgeChange<WireEdge>[]): void => {
    const next = new Set(editor.get().edges);
    for (const change of changes) {
      if (change.type !== "select") continue;
      if (change.selected) next.add(change.id);
      else next.delete(change.id);
    }
    editor.select(editor.get().selected, next);
  };
  return { nodes, edges };
}

const pointOf = (event: MouseEvent | TouchEvent): Point => {
  const at = "changedTouches" in event ? event.changedTouches[0] : event;
  return [at?.clientX ?? 0, at?.clientY ?? 0];
};

const stepUnder = ([x, y]: Point): string | null => {
  const node = globalThis.document.elementFromPoint(x, y)?.closest<HTMLElement>(".react-flow__node-step");
  return node?.dataset.id ?? null;
};

/** A connection let go: on a step's body it connects, on a wrong port it says why not, in the open it adds a step. */
function useConnectEnd(): OnConnectEnd {
  const designer = useDesigner();
  const flow = useReactFlow();
  return (event, state) => {
    if (state.isValid || !state.fromHandle || !state.fromNode) return;
    const screen = pointOf(event);
    const from = state.fromNode.id;
    const backwards = state.fromHandle.type === "target";
    const port = state.fromHandle.id ?? "out";
    const other = state.toNode?.id ?? stepUnder(screen);
    if (other) {
      if (backwards) tryConnect(designer, other, nextPort(designer, other), from);
      else if (state.toHandle?.type === "source" && other !== from) {
        designer.say("A connection ends at the left side of a step, where things come in.", "refused");
      } else if (other !== from || state.toHandle?.type === "target") tryConnect(designer, from, port, other);
      return;
    }
    const { x, y } = flow.screenToFlowPosition({ x: screen[0], y: screen[1] });
    const at: Point = backwards ? [x - 208, y - 28] : [x, y - 28];
    const wire = backwards ? { to: from } : { from: { key: from, port } };
    designer.screen.update({ picker: { screen, place: at, wire } });
  };
}

function Surface({ size }: { size: { width: number; height: number } }) {
  const designer = useDesigner();
  const { editor } = designer;
  const dragging = useDragging();
  const selection = useSelection();
  const far = useFar();
  const { nodes, wires, count } = useDrawing(dragging.places, far);
  const wrapper = useRef<HTMLDivElement>(null);
  const drop = useDrop();
  const onConnectEnd = useConnectEnd();
  useCanvasHandle(wrapper);
  const [start] = useState(() => firstViewport(editor.document, designer.kindOf, size));
  const readOnly = editor.readOnly;
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: only remembers where the pointer is, for "paste here" and the picker
    <div
      className="canvas"
      ref={wrapper}
      onPointerMove={(event) => {
        designer.pointer = [event.clientX, event.clientY];
      }}
      onPointerLeave={() => {
        designer.pointer = null;
      }}
      onDragOver={drop.over}
      onDragLeave={drop.leave}
      onDrop={drop.drop}
    >
      <ArrowHead />
      <ReactFlow<AnyNode, WireEdge>
        nodes={nodes}
        edges={wires}
        nodeTypes={nodeTypes}
        edgeTypes={edgeTypes}
        defaultViewport={start}
        minZoom={MIN_ZOOM}
        maxZoom={MAX_ZOOM}
        onlyRenderVisibleElements={count > CULL_FROM}
        nodesDraggable={!readOnly}
        nodesConnectable={!readOnly}
        edgesReconnectable={!readOnly}
        edgesFocusable={false}
        disableKeyboardA11y
        deleteKeyCode={null}
        snapToGrid
        snapGrid={[GRID, GRID]}
        panOnScroll
        panOnDrag={readOnly ? true : [1]}
        selectionOnDrag={!readOnly}
        selectionMode={SelectionMode.Partial}
        multiSelectionKeyCode={["Control", "Meta", "Shift"]}
        zoomActivationKeyCode={["Control", "Meta"]}
        zoomOnDoubleClick={false}
        connectionRadius={28}
        elevateEdgesOnSelect
        onNodesChange={(changes) => {
          dragging.during(changes);
          if (changes.some((change) => change.type === "select")) selection.nodes(changes);
        }}
        onEdgesChange={selection.edges}
        onNodeDrag={(event, _node, moved) => drop.drag(pointOf(event), moved)}
        onNodeDragStop={(_event, _node, moved) => {
          dragging.end(moved);
          drop.dragged(moved);
        }}
        onSelectionDragStop={(_event, moved) => dragging.end(moved)}
        onNodeDoubleClick={(_event, node) => {
          if (node.type === "note") designer.screen.update({ renaming: node.id });
          else designer.canvas?.open();
        }}
        onConnect={({ source, sourceHandle, target }) =>
          void tryConnect(designer, source, sourceHandle ?? "out", target)
        }
        onConnectEnd={onConnectEnd}
        isValidConnection={({ source, sourceHandle, target, targetHandle }) =>
          targetHandle === INPUT &&
          mayConnect(editor.document, source, sourceHandle ?? "out", target, designer.kindOf).ok
        }
        onReconnect={(old, next) => {
          const edge = old.data?.edge;
          if (!edge) return;
          const wanted = makeEdge(next.source, next.sourceHandle ?? "out", next.target);
          const rest = {
            ...editor.document,
            edges: editor.document.edges.filter((e) => edgeId(e) !== edgeId(edge)),
          };
          const answer = mayConnect(rest, wanted.from, wanted.port ?? "out", wanted.to, designer.kindOf);
          if (answer.ok) designer.run((doc) => reconnect(doc, edge, wanted));
          else designer.say(answer.why, "refused");
        }}
        proOptions={{ hideAttribution: true }}
      >
        <Background variant={BackgroundVariant.Dots} gap={24} size={1} />
        <Controls showInteractive={false} position="bottom-right" />
        {!readOnly && (
          <MiniMap
            style={MINI}
            position="bottom-right"
            pannable
            zoomable
            ariaLabel="Overview of the drawing"
          />
        )}
      </ReactFlow>
      {count === 0 && <EmptyHint />}
    </div>
  );
}

function EmptyHint() {
  const { editor } = useDesigner();
  return (
    <div className="canvas-empty">
      <h2>An empty drawing</h2>
      {editor.readOnly ? (
        <p>Nobody has drawn a step here yet.</p>
      ) : (
        <p>
          Drag a step from the palette, press <kbd>Tab</kbd> here, or paste the JSON of steps. <kbd>?</kbd>{" "}
          lists all keys.
        </p>
      )}
    </div>
  );
}

/** The canvas. Its first view is computed from its size, so it is mounted once the size is known. */
export function Canvas() {
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<{ width: number; height: number } | null>(null);
  useLayoutEffect(() => {
    if (box.current) setSize({ width: box.current.clientWidth, height: box.current.clientHeight });
  }, []);
  return (
    <div className="canvas-place" ref={box} data-panel="canvas">
      {size && (
        <ReactFlowProvider>
          <Surface size={size} />
        </ReactFlowProvider>
      )}
    </div>
  );
}
