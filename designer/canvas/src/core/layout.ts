/** The drawing as an ELK graph and the answer as places. The computing itself happens in a worker. */
import { BODY_TOP, boxAround, FRAME_PAD, type Frames, frameSize } from "./frames.ts";
import { add, HANDLE, type StepShape, shapeOf, snap } from "./geometry.ts";
import { portOf, portsOf } from "./graph.ts";
import type { Document, Point, Step } from "./types.ts";

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

type Sizes = ReadonlyMap<string, StepShape>;
const NO_SIZES: Sizes = new Map();
const NO_PLACES: Map<string, Point> = new Map();

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

/** One level: the steps of one container with the edges between them. Sizes of inner frames are known already. */
export function elkGraph(
  doc: Document,
  frames: Frames,
  parent: string | null = null,
  sizes: Sizes = NO_SIZES,
): ElkGraph {
  const steps = frames.nesting.children(parent);
  const there = new Set(steps.map((step) => step.key));
  const inside = doc.edges.filter((edge) => there.has(edge.from) && there.has(edge.to));
  const children = steps.map((step) => {
    const shape = sizes.get(step.key) ?? frames.shape(step);
    const drawn = new Set(inside.filter((edge) => edge.from === step.key).map(portOf));
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
  const edges = inside.map((edge, index) => ({
    id: `e${index}`,
    sources: [`${edge.from}:${portOf(edge)}`],
    targets: [`${edge.to}:`],
  }));
  return { id: parent ?? "root", layoutOptions: options(steps.length), children, edges };
}

type Places = Map<string, Point>;
type Ask = (graph: ElkGraph) => Promise<Pick<ElkGraph, "children">>;

/** Places of one level, counted from its own top left corner. */
const relative = ({ children }: Pick<ElkGraph, "children">): Places => {
  const x0 = Math.min(...children.map((child) => child.x ?? 0));
  const y0 = Math.min(...children.map((child) => child.y ?? 0));
  return new Map(children.map((child) => [child.id, snap([(child.x ?? 0) - x0, (child.y ?? 0) - y0])]));
};

/** Lays out from the innermost level outward, because a frame is as large as what it holds. */
class Arranging {
  readonly #levels = new Map<string | null, Places>();
  readonly #sizes = new Map<string, StepShape>();

  constructor(
    readonly doc: Document,
    readonly frames: Frames,
    readonly ask: Ask,
  ) {}

  async level(parent: string | null): Promise<void> {
    const { nesting } = this.frames;
    for (const step of nesting.children(parent)) {
      if (!nesting.children(step.key).length) continue;
      await this.level(step.key);
      if (this.frames.open(step)) this.#sizes.set(step.key, this.#shape(step));
    }
    const graph = elkGraph(this.doc, this.frames, parent, this.#sizes);
    this.#levels.set(parent, graph.children.length > 1 ? relative(await this.ask(graph)) : relative(graph));
  }

  #shape(step: Step): StepShape {
    const places = this.#levels.get(step.key) ?? NO_PLACES;
    const boxes = this.frames.nesting.children(step.key).map((child) => {
      const { width, height } = this.#sizes.get(child.key) ?? this.frames.shape(child);
      const [x, y] = places.get(child.key) ?? child.at;
      return { x, y, width, height };
    });
    return shapeOf(portsOf(step, this.frames.kindOf(step.kind)), frameSize(boxes));
  }

  /** Places in the whole drawing, the corner of the outermost level at `corner`. */
  places(parent: string | null, corner: Point): Places {
    const found: Places = new Map();
    for (const [key, at] of this.#levels.get(parent) ?? NO_PLACES) {
      const place = add(corner, at);
      found.set(key, place);
      const inner = add(place, [FRAME_PAD, BODY_TOP]);
      for (const [id, deeper] of this.places(key, inner)) found.set(id, deeper);
    }
    return found;
  }
}

/** Places by step key; the drawing keeps its top left corner. `ask` lays out one level. */
export async function arranged(doc: Document, frames: Frames, ask: Ask): Promise<Places> {
  const work = new Arranging(doc, frames, ask);
  await work.level(null);
  const boxes = frames.nesting.children(null).map((step) => frames.box(step));
  if (!boxes.length) return NO_PLACES;
  const { x, y } = boxAround(boxes);
  return work.places(null, snap([x, y]));
}
