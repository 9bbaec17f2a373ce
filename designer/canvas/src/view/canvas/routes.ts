/** The lines of all connections, computed again only for those whose surroundings moved. */
import type { Frames } from "../../core/frames.ts";
import type { Box } from "../../core/geometry.ts";
import { edgeId, portOf } from "../../core/graph.ts";
import { type End, route } from "../../core/route.ts";
import type { Document, Edge, Point, Step } from "../../core/types.ts";

/** Above this many steps lines take the plain way: looking at all obstacles would cost more than it shows. */
const ROUTED = 300;
const NONE: Point[] = [];

const sameBox = (a: Box, b: Box | undefined): boolean =>
  b !== undefined && a.x === b.x && a.y === b.y && a.width === b.width && a.height === b.height;

function sourceOf(step: Step, port: string, frames: Frames): End | null {
  const place = frames.shape(step).ports.find((item) => item.port === port);
  const { x, y } = frames.box(step);
  return place ? { at: [x + place.x, y + place.y], side: place.side } : null;
}

const targetOf = (step: Step, frames: Frames): End => {
  const { input } = frames.shape(step);
  const { x, y } = frames.box(step);
  return { at: [x + input.x, y + input.y], side: "left" };
};

interface Known {
  line: Point[];
  from: Point;
  to: Point;
}

export class Routes {
  #boxes: Box[] = [];
  #lines = new Map<string, Known>();

  /** A line for every edge whose two steps are in sight; an empty one where the plain curve will do. */
  of(doc: Document, frames: Frames): Map<string, Point[]> {
    const routed = doc.steps.length <= ROUTED;
    const boxes = routed ? doc.steps.map((step) => frames.box(step)) : [];
    const moved =
      boxes.length !== this.#boxes.length || !boxes.every((box, at) => sameBox(box, this.#boxes[at]));
    this.#boxes = boxes;
    const lines = new Map<string, Point[]>();
    const next = new Map<string, Known>();
    for (const edge of doc.edges) {
      const [from, to] = [frames.nesting.step(edge.from), frames.nesting.step(edge.to)];
      if (!from || !to || frames.hidden(from.key) || frames.hidden(to.key)) continue;
      const id = edgeId(edge);
      const found = routed ? this.#line(edge, id, from, to, moved, frames) : null;
      if (found) next.set(id, found);
      lines.set(id, found?.line ?? NONE);
    }
    this.#lines = next;
    return lines;
  }

  #line(edge: Edge, id: string, from: Step, to: Step, moved: boolean, frames: Frames) {
    const { nesting } = frames;
    const level = nesting.parent(from.key);
    const source = level === nesting.parent(to.key) ? sourceOf(from, portOf(edge), frames) : null;
    if (!source) return null;
    const target = targetOf(to, frames);
    const old = this.#lines.get(id);
    const still = old && String(old.from) === String(source.at) && String(old.to) === String(target.at);
    if (still && !moved) return old;
    // A line stays within its container, so only its neighbours there are in the way.
    const line = route(
      source,
      target,
      nesting.children(level).map((step) => frames.box(step)),
    );
    // The same line keeps its identity, so that its connection is not drawn again.
    if (still && String(old.line) === String(line)) return old;
    return { line, from: source.at, to: target.at };
  }
}
