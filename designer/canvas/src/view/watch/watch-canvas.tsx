import { BaseEdge, type EdgeProps, ReactFlow, ReactFlowProvider, useReactFlow } from "@xyflow/react";
import { memo, type RefObject, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { Frames } from "../../core/frames.ts";
import { portOf } from "../../core/graph.ts";
import { speaker } from "../../core/speech.ts";
import type { Document, StepKind } from "../../core/types.ts";
import { type Direction, walk } from "../../core/walk.ts";
import { ArrowHead } from "../canvas/arrow-head.tsx";
import { CULL_FROM, firstViewport, MAX_ZOOM, MIN_ZOOM } from "../canvas/drawing.ts";
import { useFar } from "../canvas/far.ts";
import { type AnyNode, NodeCache, type NoteFlowNode, type WireEdge } from "../canvas/nodes.ts";
import { ReadRegion } from "../canvas/region-node.tsx";
import { Surroundings } from "../canvas/surroundings.tsx";
import { ARROW, wireClass, wirePath } from "../canvas/wire-path.ts";
import { useTaken } from "./status-context.ts";
import { WatchFrame, WatchStep } from "./watch-step.tsx";

interface Props {
  doc: Document;
  kindOf(kind: string): StepKind | undefined;
}

const WatchWire = memo(function WatchWire(props: EdgeProps<WireEdge>) {
  const edge = props.data?.edge;
  const port = edge ? portOf(edge) : "out";
  const taken = useTaken(props.source, port, props.target);
  const [path] = wirePath(props);
  return (
    <BaseEdge
      id={props.id}
      path={path}
      className={`${wireClass(port)} ${taken ? "is-taken" : "is-not-taken"}`}
      markerEnd={ARROW}
    />
  );
});

const ReadNote = memo(function ReadNote({ data }: { data: NoteFlowNode["data"] }) {
  return (
    <div className="note">
      <div className="note-text">{data.note.text}</div>
    </div>
  );
});

const nodeTypes = { step: WatchStep, frame: WatchFrame, note: ReadNote, region: ReadRegion };
const edgeTypes = { wire: WatchWire };

const fromHash = (): string | null => new URLSearchParams(location.hash.slice(1)).get("step");

/** The chosen step: told to the page by an event and the address, and taken from either. */
function useChosenStep(): [string | null, (key: string) => void] {
  const [chosen, setChosen] = useState(fromHash);
  const choose = (key: string): void => {
    setChosen(key);
    history.replaceState(history.state, "", `#step=${encodeURIComponent(key)}`);
    document.dispatchEvent(new CustomEvent("branchline:step", { detail: { key } }));
  };
  useEffect(() => {
    const onHash = (): void => setChosen(fromHash());
    const onSelect = (event: Event): void => setChosen((event as CustomEvent<{ key: string }>).detail.key);
    window.addEventListener("hashchange", onHash);
    document.addEventListener("branchline:select", onSelect);
    return () => {
      window.removeEventListener("hashchange", onHash);
      document.removeEventListener("branchline:select", onSelect);
    };
  }, []);
  return [chosen, choose];
}

const ARROWS: Record<string, Direction> = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "up",
  ArrowDown: "down",
};

/** The panel beside the graph opens and closes: until somebody moves the view, it keeps showing everything. */
function useRefit(frames: Frames, frame: RefObject<HTMLDivElement | null>) {
  const flow = useReactFlow();
  const moved = useRef(false);
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    const watcher = new ResizeObserver(() => {
      const size = { width: element.clientWidth, height: element.clientHeight };
      if (!moved.current) void flow.setViewport(firstViewport(frames, size));
    });
    watcher.observe(element);
    return () => watcher.disconnect();
  }, [frames, flow, frame]);
  // React Flow gives no event when the program itself moved the view.
  return (event: unknown): void => {
    if (event) moved.current = true;
  };
}

function Surface({ doc, kindOf, size }: Props & { size: { width: number; height: number } }) {
  const flow = useReactFlow();
  const frame = useRef<HTMLDivElement>(null);
  const frames = useMemo(() => new Frames(doc, kindOf), [doc, kindOf]);
  const onMove = useRefit(frames, frame);
  const far = useFar();
  const cache = useRef(new NodeCache());
  const [chosen, choose] = useChosenStep();
  const [stop, setStop] = useState<string | null>(null);
  const speak = useMemo(() => speaker(doc, kindOf), [doc, kindOf]);
  const nodes = useMemo(() => {
    const selected = new Set(chosen ? [chosen] : []);
    const tab = stop ?? chosen ?? doc.steps[0]?.key ?? null;
    return cache.current.nodes(doc, {
      frames,
      selected,
      places: new Map(),
      stop: tab,
      spoken: speak,
      kindOf,
      far,
      live: true,
    });
  }, [doc, frames, chosen, stop, speak, kindOf, far]);
  const wires = useMemo(() => (far ? [] : cache.current.edges(doc, new Set(), frames)), [doc, frames, far]);
  const [start] = useState(() => firstViewport(frames, size));
  const focus = (key: string): void => {
    const step = doc.steps.find((item) => item.key === key);
    if (!step) return;
    setStop(key);
    const find = () => document.querySelector<HTMLElement>(`.react-flow__node[data-id="${CSS.escape(key)}"]`);
    const box = frames.box(step);
    if (!find()) void flow.setCenter(box.x + box.width / 2, box.y + box.height / 2, { zoom: flow.getZoom() });
    requestAnimationFrame(() => requestAnimationFrame(() => find()?.focus({ preventScroll: true })));
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the steps inside are focusable, the keys bubble up to here
    <div
      className="canvas"
      ref={frame}
      onKeyDown={(event) => {
        const key = (event.target as HTMLElement).closest<HTMLElement>(".react-flow__node")?.dataset.id;
        const direction = ARROWS[event.key];
        const next = key && direction ? walk(doc, key, direction) : null;
        if (next) focus(next);
        else if (key && (event.key === "Enter" || event.key === " ")) choose(key);
        else return;
        event.preventDefault();
      }}
    >
      <ArrowHead />
      <ReactFlow<AnyNode, WireEdge>
        nodes={nodes}
        edges={wires}
        nodeTypes={nodeTypes as never}
        edgeTypes={edgeTypes}
        defaultViewport={start}
        minZoom={MIN_ZOOM}
        maxZoom={MAX_ZOOM}
        onlyRenderVisibleElements={doc.steps.length > CULL_FROM}
        nodesDraggable={false}
        nodesConnectable={false}
        elementsSelectable
        edgesFocusable={false}
        disableKeyboardA11y
        deleteKeyCode={null}
        zoomOnDoubleClick={false}
        zoomOnScroll={false}
        preventScrolling={false}
        zoomActivationKeyCode={["Control", "Meta"]}
        onMove={onMove}
        zIndexMode="manual"
        onNodeClick={(_event, node) => (node.type === "step" || node.type === "frame") && choose(node.id)}
        proOptions={{ hideAttribution: true }}
      >
        <Surroundings overview={doc.steps.length > 12} />
      </ReactFlow>
    </div>
  );
}

export function WatchCanvas(props: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<{ width: number; height: number } | null>(null);
  useLayoutEffect(() => {
    if (box.current) setSize({ width: box.current.clientWidth, height: box.current.clientHeight });
  }, []);
  return (
    <div className="canvas-place" ref={box}>
      {size && (
        <ReactFlowProvider>
          <Surface {...props} size={size} />
        </ReactFlowProvider>
      )}
    </div>
  );
}
