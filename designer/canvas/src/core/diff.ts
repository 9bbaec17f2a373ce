/** What publishing would change against the live version, by step key; a step that only moved is told apart. */
import { equal } from "./equal.ts";
import { edgeId } from "./graph.ts";
import type { Document, Step } from "./types.ts";

export interface Difference {
  added: Step[];
  removed: Step[];
  changed: Step[];
  moved: Step[];
  edgesAdded: number;
  edgesRemoved: number;
  /** Fields of the workflow itself: name, input, output, settings, regions. */
  workflow: string[];
}

const unplaced = ({ at: _, ...rest }: Step): Omit<Step, "at"> => rest;

export function difference(live: Document, draft: Document): Difference {
  const old = new Map(live.steps.map((step) => [step.key, step]));
  const fresh = new Set(draft.steps.map((step) => step.key));
  const both = draft.steps.filter((step) => old.has(step.key));
  const same = (step: Step): boolean => equal(unplaced(step), unplaced(old.get(step.key) as Step));
  const oldEdges = new Set(live.edges.map(edgeId));
  const newEdges = new Set(draft.edges.map(edgeId));
  return {
    added: draft.steps.filter((step) => !old.has(step.key)),
    removed: live.steps.filter((step) => !fresh.has(step.key)),
    changed: both.filter((step) => !same(step)),
    moved: both.filter((step) => same(step) && !equal(step.at, old.get(step.key)?.at)),
    edgesAdded: [...newEdges].filter((id) => !oldEdges.has(id)).length,
    edgesRemoved: [...oldEdges].filter((id) => !newEdges.has(id)).length,
    workflow: (["name", "input", "output", "settings", "regions"] as const).filter(
      (field) => !equal(live[field], draft[field]),
    ),
  };
}

export const nothingDiffers = (found: Difference): boolean =>
  !found.added.length &&
  !found.removed.length &&
  !found.changed.length &&
  !found.moved.length &&
  !found.edgesAdded &&
  !found.edgesRemoved &&
  !found.workflow.length;
