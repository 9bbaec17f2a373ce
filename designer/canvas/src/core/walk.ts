/** Arrow keys walk along connections; where there is none, they go to the nearest step that way. */
import { incoming, outgoing } from "./graph.ts";
import { nestingOf } from "./nesting.ts";
import type { Document, Step } from "./types.ts";

export type Direction = "left" | "right" | "up" | "down";
const NONE: ReadonlySet<string> = new Set();

/** The nearest step that way in the same container. */
function nearest(doc: Document, from: Step, direction: Direction): string | null {
  const nesting = nestingOf(doc);
  const sideways = direction === "left" || direction === "right";
  const sign = direction === "left" || direction === "up" ? -1 : 1;
  let best: { key: string; far: number } | null = null;
  for (const step of nesting.children(nesting.parent(from.key))) {
    const dx = step.at[0] - from.at[0];
    const dy = step.at[1] - from.at[1];
    const along = (sideways ? dx : dy) * sign;
    if (step.key === from.key || along <= 0) continue;
    const far = along + 2 * Math.abs(sideways ? dy : dx);
    if (!best || far < best.far) best = { key: step.key, far };
  }
  return best?.key ?? null;
}

/** The step to go to from `key`, or null at the end of the drawing. Down from an open container leads into it. */
export function walk(
  doc: Document,
  key: string,
  direction: Direction,
  closed: ReadonlySet<string> = NONE,
): string | null {
  const from = doc.steps.find((step) => step.key === key);
  if (!from) return null;
  const by = (keys: string[]): string | undefined => {
    const steps = doc.steps.filter((step) => keys.includes(step.key));
    steps.sort((a, b) => Math.abs(a.at[1] - from.at[1]) - Math.abs(b.at[1] - from.at[1]));
    return steps[0]?.key;
  };
  const linked =
    direction === "right"
      ? by(outgoing(doc, key).map((edge) => edge.to))
      : direction === "left"
        ? by(incoming(doc, key).map((edge) => edge.from))
        : undefined;
  const [first] = nestingOf(doc).children(key);
  if (direction === "down" && first && !closed.has(key)) return first.key;
  return linked ?? nearest(doc, from, direction) ?? outward(doc, key, direction);
}

/** Up and left of the first things in a container is the container itself. */
const outward = (doc: Document, key: string, direction: Direction): string | null =>
  direction === "up" || direction === "left" ? nestingOf(doc).parent(key) : null;
