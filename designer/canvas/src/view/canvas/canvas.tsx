import {
  type EdgeChange,
  type NodeChange,
  type OnConnectEnd,
  ReactFlow,
  ReactFlowProvider,
  SelectionMode,
  useReactFlow,
} from "@xyflow/react";
import {
  type MouseEvent as ReactMouseEvent,
  type RefObject,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "react";
import { reconnect } from "../../core/edits.ts";
import { type Box, GRID, snap } from "../../core/geometry.ts";
import { edgeId, makeEdge } from "../../core/graph.ts";
import { mayConnect } from "../../core/rules.ts";
import { speaker } from "../../core/speech.ts";
import type { Point } from "../../core/types.ts";
import { useDesigner } from "../designer.ts";
import { nextPort, tryConnect } from "../steps.ts";
import { useChosen, useStore } from "../use-store.ts";
import { ArrowHead } from "./arrow-head.tsx";
import { CULL_FROM, firstViewport, MAX_ZOOM, MIN_ZOOM } from "./drawing.ts";
import { useDrop } from "./drop.ts";
import { EditStep } from "./edit-step.tsx";
import { useFar } from "./far.ts";
import { EditFrame } from "./frame-node.tsx";
import { useCanvasHandle } from "./handle.ts";
import { type AnyNode, INPUT, NodeCache, type WireEdge } from "./nodes.ts";
import { NoteNode } from "./note-node.tsx";
import { EditRegion } from "./region-node.tsx";
import { Surroundings } from "./surroundings.tsx";
import { Wire } from "./wire.tsx";

const nodeTypes = { step: EditStep, frame: EditFrame, note: NoteNode, region: EditRegion };
const edgeTypes = { wire: Wire };
const NOWHERE: ReadonlyMap<string, Point> = new Map();

/** The nodes and edges of the present document, with steps that are being dragged at their passing places. */
function useDrawing(places: ReadonlyMap<string, Point>, far: boolean) {
  const designer = useDesigner();
  const { document, selected, edges } = useStore(designer.editor);
  const found = useStore(designer.found);
  const collapsed = useChosen(designer.screen, (screen) => screen.collapsed);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the frames follow from the drawing and what is closed
  const frames = useMemo(() => designer.frames, [designer, document, collapsed]);
  const cache = useRef(new NodeCache());
  const speak = useMemo(
    () => speaker(document, designer.kindOf, (key) => found.byStep.get(key) ?? []),
    [document, found, designer],
  );
  const nodes = useMemo(() => {
    const [first] = selected;
    const stop = first ?? document.steps[0]?.key ?? null;
    return cache.current.nodes(document, {
      frames,
      selected,
      places,
      stop,
      spoken: speak,
      kindOf: designer.kindOf,
      far,
    });
  }, [document, frames, selected, places, speak, designer, far]);
  const wires = useMemo(
    () => (far ? [] : cache.current.edges(document, edges, frames)),
    [document, edges, frames, far],
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
  /** React Flow counts places within the parent's frame, the drawing from its own corner. */
  const last = (nodes: AnyNode[]): Map<string, Point> =>
    new Map(
      nodes.map((node) => {
        const frame = node.parentId ? designer.frames.boxOf(node.parentId) : null;
        return [
          node.id,
          snap([node.position.x + (frame?.x ?? 0), node.position.y + (frame?.y ?? 0)]),
        ] as const;
      }),
    );
  return { places, during, last, end: () => setPlaces(NOWHERE) };
}

/** A box that only touches a container is meant for what lies in it; one around the whole of it takes it too. */
function useBoxSelection(wrapper: RefObject<HTMLDivElement | null>) {
  const designer = useDesigner();
  const flow = useReactFlow();
  const from = useRef<Point | null>(null);
  const rect = (to: Point): Box | null => {
    if (!from.current) return null;
    const [a, b] = [from.current, to].map(([x, y]) =>
      flow.screenToFlowPosition({ x, y }, { snapToGrid: false }),
    );
    if (!a || !b) return null;
    return {
      x: Math.min(a.x, b.x),
      y: Math.min(a.y, b.y),
      width: Math.abs(a.x - b.x),
      height: Math.abs(a.y - b.y),
    };
  };
  return {
    /** True while a box is drawn: containers are left to its end. */
    drawing: () => from.current !== null && wrapper.current?.querySelector(".react-flow__selection") != null,
    start: (event: ReactMouseEvent) => {
      from.current = [event.clientX, event.clientY];
    },
    end: (event: ReactMouseEvent): void => {
      const box = rect([event.clientX, event.clientY]);
      from.current = null;
      if (!box) return;
      const { document, selected } = designer.editor.get();
      const whole = document.steps.filter((step) => {
        if (!designer.frames.open(step) || designer.frames.hidden(step.key)) return false;
        const frame = designer.frames.box(step);
        return (
          frame.x >= box.x &&
          frame.y >= box.y &&
          frame.x + frame.width <= box.x + box.width &&
          frame.y + frame.height <= box.y + box.height
        );
      });
      if (whole.length) designer.editor.select([...selected, ...whole.map((step) => step.key)]);
    },
  };
}

function useSelection(boxed: () => boolean) {
  const { editor, frames } = useDesigner();
  const nodes = (changes: NodeChange<AnyNode>[]): void => {
    const next = new Set(editor.get().selected);
    for (const change of changes) {
      if (change.type !== "select") continue;
      if (change.selected && boxed() && frames.open(frames.nesting.step(change.id))) continue;
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
  const node = globalThis.document
    .elementFromPoint(x, y)
    ?.closest<HTMLElement>(".react-flow__node-step, .react-flow__node-frame");
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
  const wrapper = useRef<HTMLDivElement>(null);
  const boxing = useBoxSelection(wrapper);
  const selection = useSelection(boxing.drawing);
  const far = useFar();
  const { nodes, wires, count } = useDrawing(dragging.places, far);
  const drop = useDrop();
  const onConnectEnd = useConnectEnd();
  useCanvasHandle(wrapper);
  const [start] = useState(() => firstViewport(designer.frames, size));
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
        zIndexMode="manual"
        onSelectionStart={boxing.start}
        onSelectionEnd={boxing.end}
        onNodesChange={(changes) => {
          dragging.during(changes);
          if (changes.some((change) => change.type === "select")) selection.nodes(changes);
        }}
        onEdgesChange={selection.edges}
        onNodeDrag={(event, _node, moved) => drop.drag(pointOf(event), moved)}
        onNodeDragStop={(_event, _node, moved) => {
          drop.dragged(moved, dragging.last(moved));
          dragging.end();
        }}
        onSelectionDrag={(event, moved) => drop.drag(pointOf(event.nativeEvent), moved)}
        onSelectionDragStop={(_event, moved) => {
          drop.dragged(moved, dragging.last(moved));
          dragging.end();
        }}
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
        <Surroundings overview={!readOnly} />
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
