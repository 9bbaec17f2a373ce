/** From the document to the arrays React Flow wants, reusing every node that did not change. */
import type { Edge as FlowEdge, Node as FlowNode } from "@xyflow/react";
import { Position } from "@xyflow/react";
import { noteId } from "../../core/edits.ts";
import type { Frames } from "../../core/frames.ts";
import { HANDLE, type StepShape } from "../../core/geometry.ts";
import { edgeId, FAILURE_PORTS, portOf } from "../../core/graph.ts";
import { regionId, regionName } from "../../core/regions.ts";
import type { Document, Edge, Note, Point, Region, Step, StepKind } from "../../core/types.ts";
import { Routes } from "./routes.ts";

export type StepData = {
  step: Step;
  kind: StepKind | undefined;
  shape: StepShape;
  far: boolean;
  /** How many steps a container holds, at any depth. */
  held: number;
};
export type NoteData = { note: Note };
export type RegionData = { region: Region };
/** A container that shows what it holds is a frame; closed, and every other step, it is a box. */
export type StepFlowNode = FlowNode<StepData, "step" | "frame">;
export type NoteFlowNode = FlowNode<NoteData, "note">;
export type RegionFlowNode = FlowNode<RegionData, "region">;
export type AnyNode = StepFlowNode | NoteFlowNode | RegionFlowNode;
export type WireEdge = FlowEdge<{ edge: Edge; line: Point[] }, "wire">;

const SIDES = { right: Position.Right, bottom: Position.Bottom, left: Position.Left };

/** Ports a drawn edge uses although the step no longer has them: the edge must stay visible to be repaired. */
const shapeWith = (shape: StepShape, lost: string[]): StepShape =>
  lost.length
    ? {
        ...shape,
        ports: [
          ...shape.ports,
          ...lost.map((port, index) =>
            FAILURE_PORTS.has(port)
              ? { port, side: "bottom" as const, x: 24 + index * 24, y: shape.height }
              : { port, side: "right" as const, x: shape.width, y: shape.height - 8 },
          ),
        ],
      }
    : shape;

const handle = (id: string, type: "source" | "target", x: number, y: number, side: keyof typeof SIDES) => ({
  id,
  type,
  position: SIDES[side],
  x: x - HANDLE / 2,
  y: y - HANDLE / 2,
  width: HANDLE,
  height: HANDLE,
});

export const INPUT = "in";

/** The spoken name of a step stays the same while a run goes on; an element of this id says its state. */
export const stateId = (key: string): string => `state-of-${key}`;

/**
 * What lies over what, a level being everything in one container: its regions, then frames, connections and boxes,
 * then the next level.
 */
const LAYERS = 4;
const layer = { region: 0, frame: 1, wire: 2, box: 3 } as const;
const LIFTED = 10_000;
const BEHIND = -1;

interface StepCell {
  step: Step;
  kind: StepKind | undefined;
  lost: string;
  open: boolean;
  held: number;
  parent: string | null;
  level: number;
  /** The place within the parent's frame. */
  x: number;
  y: number;
  width: number;
  height: number;
  dragged: boolean;
  selected: boolean;
  stop: boolean;
  spoken: string;
  /** Far away steps are drawn without ports; coming near needs a new node so that React Flow reads its handles again. */
  far: boolean;
  node: StepFlowNode;
}

export interface Looks {
  frames: Frames;
  selected: ReadonlySet<string>;
  /** Passing places of what is being dragged, within the parent's frame. */
  places: ReadonlyMap<string, Point>;
  /** The one step that Tab reaches; arrows walk from there. */
  stop: string | null;
  spoken(step: Step): string;
  kindOf(kind: string): StepKind | undefined;
  /** Too far away to read: plain boxes, no connections. */
  far: boolean;
  /** True where every step shows the state of a run. */
  live?: boolean;
}

/** Keeps one node per step and answers the same object while nothing about it changed. */
export class NodeCache {
  #steps = new Map<string, StepCell>();
  #notes = new Map<string, { note: Note; at: Point; selected: boolean; node: NoteFlowNode }>();
  #edges = new Map<string, WireEdge>();
  readonly #routes = new Routes();

  nodes(doc: Document, looks: Looks): AnyNode[] {
    const lost = lostPorts(doc, looks.frames);
    const steps = new Map<string, StepCell>();
    // React Flow wants a container before what it holds.
    const add = (parent: string | null, level: number): void => {
      for (const step of looks.frames.nesting.children(parent)) {
        steps.set(step.key, this.#stepCell(step, level, lost.get(step.key) ?? [], looks));
        if (looks.frames.open(step)) add(step.key, level + 1);
      }
    };
    add(null, 0);
    this.#steps = steps;
    const notes = new Map(doc.notes.map((note) => [note.key, this.#noteCell(note, looks)]));
    this.#notes = notes;
    return [
      ...[...notes.values()].map((cell) => cell.node),
      ...doc.regions.flatMap((region) => regionNode(region, looks) ?? []),
      ...[...steps.values()].map((cell) => cell.node),
    ];
  }

  #stepCell(step: Step, level: number, lostPortNames: string[], looks: Looks): StepCell {
    const { frames } = looks;
    const old = this.#steps.get(step.key);
    const fresh = {
      step,
      kind: looks.kindOf(step.kind),
      lost: lostPortNames.join(),
      open: frames.open(step),
      held: frames.nesting.inside(step.key).length,
      level,
      ...placeOf(step, looks),
      dragged: looks.places.has(step.key),
      selected: looks.selected.has(step.key),
      stop: looks.stop === step.key,
      spoken: looks.spoken(step),
      far: looks.far,
    };
    if (
      old &&
      (Object.keys(fresh) as (keyof typeof fresh)[]).every((name) => Object.is(old[name], fresh[name]))
    ) {
      return old;
    }
    const data =
      old && SHOWN.every((name) => Object.is(old[name], fresh[name]))
        ? old.node.data
        : {
            step,
            kind: fresh.kind,
            shape: shapeWith(frames.shape(step), lostPortNames),
            far: fresh.far,
            held: fresh.held,
          };
    return { ...fresh, node: stepNode(fresh, data, looks.live ?? false) };
  }

  #noteCell(note: Note, looks: Looks) {
    const id = noteId(note.key);
    const at = looks.places.get(id) ?? note.at;
    const selected = looks.selected.has(id);
    const old = this.#notes.get(note.key);
    const under = looks.frames.under([note.at[0] + note.size[0] / 2, note.at[1] + note.size[1] / 2]);
    // A note on a container lies on its frame, and under the steps there.
    const zIndex = under ? (looks.frames.nesting.around(under).length + 1) * LAYERS + layer.region : BEHIND;
    if (old && old.note === note && old.at === at && old.selected === selected && old.node.zIndex === zIndex)
      return old;
    const [width, height] = note.size;
    const node: NoteFlowNode = {
      id,
      type: "note",
      position: { x: at[0], y: at[1] },
      width,
      height,
      measured: { width, height },
      handles: [],
      selected,
      zIndex,
      data: old?.note === note ? old.node.data : { note },
      ariaLabel: `Note: ${note.text || "empty"}`,
    };
    return { note, at, selected, node };
  }

  edges(doc: Document, chosen: ReadonlySet<string>, frames: Frames): WireEdge[] {
    const lines = this.#routes.of(doc, frames);
    const next = new Map<string, WireEdge>();
    for (const edge of doc.edges) {
      const id = edgeId(edge);
      const line = lines.get(id);
      if (!line) continue;
      const old = this.#edges.get(id);
      const selected = chosen.has(id);
      const level = frames.nesting.around(edge.from).length;
      const zIndex = level * LAYERS + layer.wire + (selected ? LIFTED : 0);
      const same = old && old.selected === selected && old.zIndex === zIndex && old.data?.line === line;
      next.set(id, same ? old : { ...wireEdge(edge, id, selected, line), zIndex });
    }
    this.#edges = next;
    return [...next.values()];
  }
}

/** What the box itself shows; anything else of a cell only concerns the node around it. */
const SHOWN = ["step", "kind", "lost", "far", "held", "open", "width", "height"] as const;

function placeOf(step: Step, { frames, places }: Looks) {
  const parent = frames.nesting.parent(step.key);
  const { x, y, width, height } = frames.box(step);
  const corner = parent ? frames.boxOf(parent) : null;
  const [left, top] = places.get(step.key) ?? [x - (corner?.x ?? 0), y - (corner?.y ?? 0)];
  return { parent, x: left, y: top, width, height };
}

function regionNode(region: Region, looks: Looks): RegionFlowNode | null {
  const { frames } = looks;
  const box = frames.region(region.steps);
  if (!box) return null;
  const [first = ""] = region.steps;
  const size = { width: box.width, height: box.height };
  return {
    id: regionId(region.key),
    type: "region",
    position: { x: box.x, y: box.y },
    ...size,
    measured: size,
    handles: [],
    zIndex: frames.nesting.around(first).length * LAYERS + layer.region,
    draggable: false,
    selectable: false,
    focusable: false,
    selected: looks.selected.has(regionId(region.key)),
    style: { pointerEvents: "none" },
    data: { region },
    ariaLabel: `Region: ${regionName(region)}`,
  };
}

function stepNode(cell: Omit<StepCell, "node">, data: StepData, live: boolean): StepFlowNode {
  const { shape } = data;
  const size = { width: shape.width, height: shape.height };
  const lift = !cell.open && (cell.dragged || cell.selected) ? LIFTED : 0;
  return {
    id: cell.step.key,
    type: cell.open ? "frame" : "step",
    position: { x: cell.x, y: cell.y },
    ...(cell.parent ? { parentId: cell.parent } : {}),
    ...size,
    measured: size,
    zIndex: cell.level * LAYERS + (cell.open ? layer.frame : layer.box) + lift,
    // Inside a frame the drawing goes on: only its head takes the pointer.
    ...(cell.open ? { dragHandle: ".frame-head", style: { pointerEvents: "none" as const } } : {}),
    handles: [
      handle(INPUT, "target", shape.input.x, shape.input.y, "left"),
      ...shape.ports.map((place) => handle(place.port, "source", place.x, place.y, place.side)),
    ],
    selected: cell.selected,
    data,
    ariaLabel: cell.spoken,
    domAttributes: {
      tabIndex: cell.stop ? 0 : -1,
      "aria-roledescription": cell.open ? "container" : "step",
      ...(live ? { "aria-describedby": stateId(cell.step.key) } : {}),
    } as NonNullable<StepFlowNode["domAttributes"]>,
  };
}

const wireEdge = (edge: Edge, id: string, selected: boolean, line: Point[]): WireEdge => ({
  id,
  type: "wire",
  source: edge.from,
  sourceHandle: portOf(edge),
  target: edge.to,
  targetHandle: INPUT,
  selected,
  data: { edge, line },
  ariaLabel: `Connection from ${edge.from} to ${edge.to}, port ${portOf(edge)}`,
});

function lostPorts(doc: Document, frames: Frames): Map<string, string[]> {
  const known = new Map<string, Set<string>>();
  const lost = new Map<string, string[]>();
  for (const edge of doc.edges) {
    const step = frames.nesting.step(edge.from);
    if (!step) continue;
    let ports = known.get(step.key);
    if (!ports) {
      ports = new Set(frames.shape(step).ports.map((place) => place.port));
      known.set(step.key, ports);
    }
    const port = portOf(edge);
    const list = lost.get(step.key) ?? [];
    if (!ports.has(port) && !list.includes(port)) lost.set(step.key, [...list, port]);
  }
  return lost;
}
