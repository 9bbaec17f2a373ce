import { applyDelta, type Delta, deltaBetween, inverse, isEmpty, joinDeltas } from "./delta.ts";
import type { Document } from "./types.ts";

/** An edit that can take itself back. `intent` joins keystrokes of one intention into one undo step. */
export interface Command {
  label: string;
  intent?: string;
  delta: Delta;
  /** What to select once the command was applied. */
  select?: string[];
  apply(doc: Document): Document;
  revert(doc: Document): Document;
}

const fromDelta = (label: string, delta: Delta, extra: Pick<Command, "intent" | "select">): Command => ({
  label,
  ...extra,
  delta,
  apply: (doc) => applyDelta(doc, delta),
  revert: (doc) => applyDelta(doc, inverse(delta)),
});

/** The command that leads from `before` to `after`; null when nothing differs. */
export function command(
  label: string,
  before: Document,
  after: Document,
  extra: Pick<Command, "intent" | "select"> = {},
): Command | null {
  const delta = deltaBetween(before, after);
  return isEmpty(delta) ? null : fromDelta(label, delta, extra);
}

export const joined = (first: Command, second: Command): Command => {
  const extra: Pick<Command, "intent" | "select"> = {};
  if (second.intent !== undefined) extra.intent = second.intent;
  if (second.select !== undefined) extra.select = second.select;
  return fromDelta(second.label, joinDeltas(first.delta, second.delta), extra);
};
