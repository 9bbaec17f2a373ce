/** From the document to the arrays React Flow wants, reusing every node that did not change. */
import type { Edge as FlowEdge, Node as FlowNode } from "@xyflow/react";
import { Position } from "@xyflow/react";
import { noteId } from "../../core/edits.ts";
import { HANDLE, type StepShape, stepShape } from "../../core/geometry.ts";
import { edgeId, FAILURE_PORTS, portOf } from "../../core/graph.ts";
import type { Document, Edge, Note, Point, Step, StepKind } from "../../core/types.ts";
import { Routes } from "./routes.ts";

export type StepData = { step: Step; kind: StepKind | undefined; shape: StepShape; far: boolean };
export type NoteData = { note: Note };
export type StepFlowNode = FlowNode<StepData, "step">;
export type NoteFlowNode = FlowNode<NoteData, "note">;
export type AnyNode = StepFlowNode | NoteFlowNode;
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

interface StepCell {
  step: Step;
  kind: StepKind | undefined;
  lost: string;
  at: Point;
  selected: boolean;
  stop: boolean;
  spoken: string;
  /** Far away steps are drawn without ports; coming near needs a new node so that React Flow reads its handles again. */
  far: boolean;
  node: StepFlowNode;
}

export interface Looks {
  selected: ReadonlySet<string>;
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
    const lost = lostPorts(doc, looks.kindOf);
    const steps = new Map<string, StepCell>();
    for (const step of doc.steps) steps.set(step.key, this.#stepCell(step, lost.get(step.key) ?? [], looks));
    this.#steps = steps;
    const notes = new Map(doc.notes.map((note) => [note.key, this.#noteCell(note, looks)]));
    this.#notes = notes;
    return [...[...notes.values()].map((cell) => cell.node), ...[...steps.values()].map((cell) => cell.node)];
  }

  #stepCell(step: Step, lostPortNames: string[], looks: Looks): StepCell {
    const old = this.#steps.get(step.key);
    const fresh = {
      step,
      kind: looks.kindOf(step.kind),
      lost: lostPortNames.join(),
      at: looks.places.get(step.key) ?? step.at,
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
      old && old.step === step && old.kind === fresh.kind && old.lost === fresh.lost && old.far === fresh.far
        ? old.node.data
        : {
            step,
            kind: fresh.kind,
            shape: shapeWith(stepShape(step, fresh.kind), lostPortNames),
            far: fresh.far,
          };
    return { ...fresh, node: stepNode(fresh, data, looks.live ?? false) };
  }

  #noteCell(note: Note, looks: Looks) {
    const id = noteId(note.key);
    const at = looks.places.get(id) ?? note.at;
    const selected = looks.selected.has(id);
    const old = this.#notes.get(note.key);
    if (old && old.note === note && old.at === at && old.selected === selected) return old;
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
      zIndex: -1,
      data: old?.note === note ? old.node.data : { note },
      ariaLabel: `Note: ${note.text || "empty"}`,
    };
    return { note, at, selected, node };
  }

  edges(doc: Document, chosen: ReadonlySet<string>, kindOf: Looks["kindOf"]): WireEdge[] {
    const lines = this.#routes.of(doc, kindOf);
    const next = new Map<string, WireEdge>();
    for (const edge of doc.edges) {
      const id = edgeId(edge);
      const line = lines.get(id);
      if (!line) continue;
      const old = this.#edges.get(id);
      const selected = chosen.has(id);
      const same = old && old.selected === selected && old.data?.line === line;
      next.set(id, same ? old : wireEdge(edge, id, selected, line));
    }
    this.#edges = next;
    return [...next.values()];
  }
}

function stepNode(cell: Omit<StepCell, "node">, data: StepData, live: boolean): StepFlowNode {
  const { shape } = data;
  return {
    id: cell.step.key,
    type: "step",
    position: { x: cell.at[0], y: cell.at[1] },
    width: shape.width,
    height: shape.height,
    measured: { width: shape.width, height: shape.height },
    handles: [
      handle(INPUT, "target", shape.input.x, shape.input.y, "left"),
      ...shape.ports.map((place) => handle(place.port, "source", place.x, place.y, place.side)),
    ],
    selected: cell.selected,
    data,
    ariaLabel: cell.spoken,
    domAttributes: {
      tabIndex: cell.stop ? 0 : -1,
      "aria-roledescription": "step",
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

function lostPorts(doc: Document, kindOf: Looks["kindOf"]): Map<string, string[]> {
  const known = new Map<string, Set<string>>();
  const lost = new Map<string, string[]>();
  const steps = new Map(doc.steps.map((step) => [step.key, step]));
  for (const edge of doc.edges) {
    const step = steps.get(edge.from);
    if (!step) continue;
    let ports = known.get(step.key);
    if (!ports) {
      ports = new Set(stepShape(step, kindOf(step.kind)).ports.map((place) => place.port));
      known.set(step.key, ports);
    }
    const port = portOf(edge);
    const list = lost.get(step.key) ?? [];
    if (!ports.has(port) && !list.includes(port)) lost.set(step.key, [...list, port]);
  }
  return lost;
}
