/**
 * Where everything lies. A container is drawn as a frame around what it holds, so its size follows from its children;
 * its own `at` counts only while it is empty. Places in the document are always those of the whole drawing.
 */
import { type Box, HEAD_HEIGHT, type StepShape, shapeOf } from "./geometry.ts";
import { portsOf } from "./graph.ts";
import { isContainer, type Nesting, nestingOf } from "./nesting.ts";
import type { Document, Note, Point, Step, StepKind } from "./types.ts";

/** Room between a frame and what it holds; below there is a little more for the failure ports. */
export const FRAME_PAD = 24;
/** Where the body begins below the top of the frame: under the head there is room for the label of a region. */
export const BODY_TOP = HEAD_HEIGHT + 32;
const FRAME_FOOT = 32;
export const EMPTY_FRAME = { width: 304, height: 136 };
const REGION_PAD = 12;
const REGION_HEAD = 30;
const REGION_FOOT = 16;

type KindOf = (kind: string) => StepKind | undefined;
const NOTHING: ReadonlySet<string> = new Set();

/** The smallest box around these; there is at least one. */
export const boxAround = (boxes: Box[]): Box => {
  const x = Math.min(...boxes.map((box) => box.x));
  const y = Math.min(...boxes.map((box) => box.y));
  return {
    x,
    y,
    width: Math.max(...boxes.map((box) => box.x + box.width)) - x,
    height: Math.max(...boxes.map((box) => box.y + box.height)) - y,
  };
};

/** How large a frame is that holds these boxes. */
export function frameSize(held: Box[]): { width: number; height: number } {
  if (!held.length) return EMPTY_FRAME;
  const { width, height } = boxAround(held);
  return {
    width: Math.max(width + 2 * FRAME_PAD, EMPTY_FRAME.width),
    height: height + BODY_TOP + FRAME_FOOT,
  };
}

export class Frames {
  readonly nesting: Nesting;
  readonly #boxes = new Map<string, Box>();
  readonly #shapes = new Map<string, StepShape>();

  constructor(
    readonly doc: Document,
    readonly kindOf: KindOf,
    readonly collapsed: ReadonlySet<string> = NOTHING,
  ) {
    this.nesting = nestingOf(doc);
  }

  /** True for a container that shows what it holds. */
  open = (step: Step | undefined): boolean =>
    step !== undefined && isContainer(step) && !this.collapsed.has(step.key);

  /** True where a closed container hides the step. */
  hidden = (key: string): boolean => this.nesting.around(key).some((above) => this.collapsed.has(above));

  shape(step: Step): StepShape {
    const known = this.#shapes.get(step.key);
    if (known) return known;
    const ports = portsOf(step, this.kindOf(step.kind));
    const size = this.open(step) ? frameSize(this.#held(step)) : null;
    const shape = size ? shapeOf(ports, size) : shapeOf(ports);
    this.#shapes.set(step.key, shape);
    return shape;
  }

  box(step: Step): Box {
    const known = this.#boxes.get(step.key);
    if (known) return known;
    const { width, height } = this.shape(step);
    const [x, y] = this.#corner(step);
    const box = { x, y, width, height };
    this.#boxes.set(step.key, box);
    return box;
  }

  boxOf(key: string): Box | null {
    const step = this.nesting.step(key);
    return step ? this.box(step) : null;
  }

  #held = (step: Step): Box[] => this.nesting.children(step.key).map((child) => this.box(child));

  #corner(step: Step): Point {
    const held = isContainer(step) ? this.#held(step) : [];
    if (!held.length) return step.at;
    const { x, y } = boxAround(held);
    return [x - FRAME_PAD, y - BODY_TOP];
  }

  /** The innermost open container under a place, apart from those left out. */
  under([x, y]: Point, leaveOut: ReadonlySet<string> = NOTHING): string | null {
    let inside: string | null = null;
    for (;;) {
      const next: Step | undefined = this.nesting.children(inside).find((step) => {
        if (!this.open(step) || leaveOut.has(step.key)) return false;
        const box = this.box(step);
        return x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height;
      });
      if (!next) return inside;
      inside = next.key;
    }
  }

  /** Notes written on what these containers show, or on what lies in them. */
  notesOn(keys: ReadonlySet<string>): Set<string> {
    const on = (note: Note): boolean => {
      const [x, y] = note.at;
      const under = this.under([x + note.size[0] / 2, y + note.size[1] / 2]);
      return under !== null && [under, ...this.nesting.around(under)].some((key) => keys.has(key));
    };
    return new Set(this.doc.notes.filter(on).map((note) => note.key));
  }

  /** The background of a region; null while none of its steps is there or in sight. */
  region(keys: readonly string[]): Box | null {
    const boxes = keys.flatMap((key) => (this.hidden(key) ? [] : (this.boxOf(key) ?? [])));
    if (!boxes.length) return null;
    const { x, y, width, height } = boxAround(boxes);
    return {
      x: x - REGION_PAD,
      y: y - REGION_HEAD,
      width: width + 2 * REGION_PAD,
      height: height + REGION_HEAD + REGION_FOOT,
    };
  }

  /** The box around everything; null for an empty drawing. */
  bounds(): Box | null {
    const { doc, nesting } = this;
    const boxes: Box[] = [
      ...nesting.children(null).map((step) => this.box(step)),
      ...doc.regions.flatMap((region) => this.region(region.steps) ?? []),
      ...doc.notes.map((note) => ({
        x: note.at[0],
        y: note.at[1],
        width: note.size[0],
        height: note.size[1],
      })),
    ];
    return boxes.length ? boxAround(boxes) : null;
  }
}

/** A container that lost the last of its steps stays where its frame was. */
export function keepCorners(before: Document, after: Document): Document {
  const [old, now] = [new Frames(before, () => undefined), nestingOf(after)];
  const emptied = (step: Step): boolean =>
    isContainer(step) && now.children(step.key).length === 0 && old.nesting.children(step.key).length > 0;
  if (!after.steps.some(emptied)) return after;
  const steps = after.steps.map((step) => {
    const box = emptied(step) ? old.boxOf(step.key) : null;
    return box ? { ...step, at: [box.x, box.y] as Point } : step;
  });
  return { ...after, steps };
}
