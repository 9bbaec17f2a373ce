/** The lines of all connections, computed again only for those whose surroundings moved. */
import { type Box, boxOf, stepShape } from "../../core/geometry.ts";
import { edgeId, portOf } from "../../core/graph.ts";
import { type End, route } from "../../core/route.ts";
import type { Document, Edge, Point, Step, StepKind } from "../../core/types.ts";

type KindOf = (kind: string) => StepKind | undefined;

/** Above this many steps lines take the plain way: looking at all obstacles would cost more than it shows. */
const ROUTED = 300;
const NONE: Point[] = [];

const sameBox = (a: Box, b: Box | undefined): boolean =>
  b !== undefined && a.x === b.x && a.y === b.y && a.width === b.width && a.height === b.height;

function sourceOf(step: Step, port: string, kindOf: KindOf): End | null {
  const place = stepShape(step, kindOf(step.kind)).ports.find((item) => item.port === port);
  return place ? { at: [step.at[0] + place.x, step.at[1] + place.y], side: place.side } : null;
}

const targetOf = (step: Step, kindOf: KindOf): End => {
  const { input } = stepShape(step, kindOf(step.kind));
  return { at: [step.at[0] + input.x, step.at[1] + input.y], side: "left" };
};

interface Known {
  line: Point[];
  from: Point;
  to: Point;
}

export class Routes {
  #boxes: Box[] = [];
  #lines = new Map<string, Known>();

  /** A line for every edge whose two steps exist; an empty one where the plain curve will do. */
  of(doc: Document, kindOf: KindOf): Map<string, Point[]> {
    const steps = new Map(doc.steps.map((step) => [step.key, step]));
    const boxes = doc.steps.length > ROUTED ? [] : doc.steps.map((step) => boxOf(step, kindOf));
    const moved =
      boxes.length !== this.#boxes.length || !boxes.every((box, at) => sameBox(box, this.#boxes[at]));
    this.#boxes = boxes;
    const lines = new Map<string, Point[]>();
    const next = new Map<string, Known>();
    for (const edge of doc.edges) {
      const [from, to] = [steps.get(edge.from), steps.get(edge.to)];
      if (!from || !to) continue;
      const id = edgeId(edge);
      const found = boxes.length ? this.#line(edge, id, from, to, moved, kindOf) : null;
      if (found) next.set(id, found);
      lines.set(id, found?.line ?? NONE);
    }
    this.#lines = next;
    return lines;
  }

  #line(edge: Edge, id: string, from: Step, to: Step, moved: boolean, kindOf: KindOf) {
    const source = sourceOf(from, portOf(edge), kindOf);
    if (!source) return null;
    const target = targetOf(to, kindOf);
    const old = this.#lines.get(id);
    const still = old && String(old.from) === String(source.at) && String(old.to) === String(target.at);
    if (still && !moved) return old;
    const line = route(source, target, this.#boxes);
    // The same line keeps its identity, so that its connection is not drawn again.
    if (still && String(old.line) === String(line)) return old;
    return { line, from: source.at, to: target.at };
  }
}
