/** A frame that grows pushes aside what it would lie over, so that no edit hides a step. */
import { Frames } from "./frames.ts";
import { type Box, GRID, overlap } from "./geometry.ts";
import { isContainer } from "./nesting.ts";
import type { Document, Point, Step, StepKind } from "./types.ts";

export interface Layout {
  kindOf(kind: string): StepKind | undefined;
  collapsed: ReadonlySet<string>;
}

const GAP = GRID * 4;

export const framesOf = (doc: Document, { kindOf, collapsed }: Layout): Frames =>
  new Frames(doc, kindOf, collapsed);

/** The drawing with these steps, everything inside them and the notes on it, moved by as much. */
export function shifted(doc: Document, keys: ReadonlySet<string>, [dx, dy]: Point, frames: Frames): Document {
  if ((!dx && !dy) || !keys.size) return doc;
  const all = frames.nesting.whole(keys);
  const steps = doc.steps.map((step) =>
    all.has(step.key) ? { ...step, at: [step.at[0] + dx, step.at[1] + dy] as Point } : step,
  );
  const along = frames.notesOn(keys);
  const notes = doc.notes.map((note) =>
    along.has(note.key) ? { ...note, at: [note.at[0] + dx, note.at[1] + dy] as Point } : note,
  );
  return { ...doc, steps, notes };
}

const upTo = (size: number): number => Math.ceil(size / GRID) * GRID;

/** Pushes aside what the frame lies over now and did not when it was as large as `before`. */
function pushed(doc: Document, step: Step, before: Box, layout: Layout): Document {
  const frames = framesOf(doc, layout);
  const now = frames.box(step);
  const siblings = frames.nesting.children(frames.nesting.parent(step.key)).filter((other) => other !== step);
  const near = { ...now, width: now.width + GAP - 1, height: now.height + GAP - 1 };
  const hit = siblings.filter((other) => {
    const box = frames.box(other);
    return overlap(box, near) && !overlap(box, before);
  });
  const right = before.x + before.width;
  const below = before.y + before.height;
  const aside = hit.some((other) => frames.box(other).x >= right);
  const down = !aside && hit.some((other) => frames.box(other).y >= below);
  if (!aside && !down) return doc;
  const by: Point = aside ? [upTo(now.x + now.width - right), 0] : [0, upTo(now.y + now.height - below)];
  const movers = siblings.filter((other) =>
    aside ? frames.box(other).x >= right : frames.box(other).y >= below,
  );
  return shifted(doc, new Set(movers.map((other) => other.key)), by, frames);
}

/** `after`, with room made around every container that has grown since `before`; the innermost first. */
export function withRoom(before: Document, after: Document, layout: Layout): Document {
  const old = framesOf(before, layout);
  const depth = (step: Step): number => old.nesting.around(step.key).length;
  const grown = before.steps.filter(isContainer).sort((a, b) => depth(b) - depth(a));
  let doc = after;
  for (const { key } of grown) {
    const was = old.boxOf(key);
    const step = doc.steps.find((item) => item.key === key);
    if (!was || !step) continue;
    const is = framesOf(doc, layout).box(step);
    if (is.width > was.width || is.height > was.height) doc = pushed(doc, step, was, layout);
  }
  return doc;
}

/** A frame drawn around steps that had none: it goes below what stands above it, and pushes the rest. */
export function framed(doc: Document, key: string, tight: Box, layout: Layout): Document {
  const frames = framesOf(doc, layout);
  const step = frames.nesting.step(key);
  if (!step) return doc;
  const frame = frames.box(step);
  const over = frames.nesting
    .children(frames.nesting.parent(key))
    .map((other) => frames.box(other))
    .filter((box) => box.y < tight.y && box.y + box.height <= tight.y && overlap(box, frame));
  const down = upTo(Math.max(0, ...over.map((box) => box.y + box.height + GRID * 2 - frame.y)));
  const lower = shifted(doc, new Set([key]), [0, down], frames);
  const moved = lower.steps.find((item) => item.key === key) ?? step;
  return pushed(lower, moved, { ...tight, y: tight.y + down }, layout);
}

/** `wanted`, moved down until none of the steps of the same container lies under it. */
export function freePlace(frames: Frames, parent: string | null, wanted: Point, size: Box): Point {
  const taken = frames.nesting.children(parent).map((step) => frames.box(step));
  let [x, y] = wanted.map((part) => Math.round(part / GRID) * GRID) as [number, number];
  const mine = (): Box => ({ ...size, x, y });
  for (
    let hit = taken.find((box) => overlap(box, mine()));
    hit;
    hit = taken.find((box) => overlap(box, mine()))
  ) {
    y = Math.round((hit.y + hit.height + GRID * 3) / GRID) * GRID;
  }
  return [x, y];
}
