/** The drawing as an ELK graph and the answer as places. The computing itself happens in a worker. */
import { HANDLE, snap, stepShape } from "./geometry.ts";
import { portOf } from "./graph.ts";
import type { Document, Point, StepKind } from "./types.ts";

export interface ElkPort {
  id: string;
  x: number;
  y: number;
  width: number;
  height: number;
  layoutOptions: Record<string, string>;
}
export interface ElkChild {
  id: string;
  width: number;
  height: number;
  x?: number;
  y?: number;
  ports: ElkPort[];
  layoutOptions: Record<string, string>;
}
export interface ElkGraph {
  id: string;
  layoutOptions: Record<string, string>;
  children: ElkChild[];
  edges: { id: string; sources: string[]; targets: string[] }[];
}

const SIDES = { left: "WEST", right: "EAST", bottom: "SOUTH" } as const;

/** Simple placement and less thoroughness from 300 steps on: a third faster and much flatter drawings. */
const options = (count: number): Record<string, string> => ({
  "elk.algorithm": "layered",
  "elk.direction": "RIGHT",
  "elk.layered.spacing.nodeNodeBetweenLayers": "80",
  "elk.spacing.nodeNode": "48",
  "elk.layered.nodePlacement.strategy": count >= 300 ? "SIMPLE" : "BRANDES_KOEPF",
  "elk.layered.nodePlacement.bk.fixedAlignment": "BALANCED",
  "elk.layered.considerModelOrder.strategy": "NODES_AND_EDGES",
  "elk.layered.thoroughness": count >= 300 ? "3" : "7",
  "elk.edgeRouting": count >= 300 ? "POLYLINE" : "ORTHOGONAL",
});

const port = (id: string, x: number, y: number, side: keyof typeof SIDES): ElkPort => ({
  id,
  x: x - HANDLE / 2,
  y: y - HANDLE / 2,
  width: HANDLE,
  height: HANDLE,
  layoutOptions: { "elk.port.side": SIDES[side] },
});

export function elkGraph(doc: Document, kindOf: (kind: string) => StepKind | undefined): ElkGraph {
  const children = doc.steps.map((step) => {
    const shape = stepShape(step, kindOf(step.kind));
    const drawn = new Set(doc.edges.filter((edge) => edge.from === step.key).map(portOf));
    const known = new Set(shape.ports.map((place) => place.port));
    const loose = [...drawn].filter((name) => !known.has(name));
    return {
      id: step.key,
      width: shape.width,
      height: shape.height,
      layoutOptions: { "elk.portConstraints": "FIXED_POS" },
      ports: [
        port(`${step.key}:`, shape.input.x, shape.input.y, "left"),
        ...shape.ports.map((place) => port(`${step.key}:${place.port}`, place.x, place.y, place.side)),
        ...loose.map((name) => port(`${step.key}:${name}`, shape.width, shape.height / 2, "right")),
      ],
    };
  });
  const there = new Set(doc.steps.map((step) => step.key));
  const edges = doc.edges
    .filter((edge) => there.has(edge.from) && there.has(edge.to))
    .map((edge, index) => ({
      id: `e${index}`,
      sources: [`${edge.from}:${portOf(edge)}`],
      targets: [`${edge.to}:`],
    }));
  return { id: "root", layoutOptions: options(doc.steps.length), children, edges };
}

/** Places by step key, moved so that the drawing keeps its top left corner. */
export function placesFrom(doc: Document, answer: Pick<ElkGraph, "children">): Map<string, Point> {
  const left = Math.min(...doc.steps.map((step) => step.at[0]));
  const top = Math.min(...doc.steps.map((step) => step.at[1]));
  const x0 = Math.min(...answer.children.map((child) => child.x ?? 0));
  const y0 = Math.min(...answer.children.map((child) => child.y ?? 0));
  return new Map(
    answer.children.map((child) => [child.id, snap([(child.x ?? 0) - x0 + left, (child.y ?? 0) - y0 + top])]),
  );
}
