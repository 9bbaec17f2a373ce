/** How a step inside a for-each stands over all items, in few words. */
import { lookOfState, type StepRunView, type StepState, type Tally } from "./run.ts";

/** Shown beside the state itself: more would not fit on a step. */
const MOST_PARTS = 2;

export interface TallyPart {
  state: StepState;
  word: string;
  icon: string;
  tone: string;
  /** "12", or "997+" where more may stand in this state. */
  number: string;
}

/** Ends that are not failures: of these together the newest 1,000 are counted. Failures are counted apart. */
const ENDS = new Set<StepState>(["succeeded", "skipped", "cancelled"]);

const part = (tally: Tally, state: StepState, count: number): TallyPart => {
  const isLeast = tally.more && (count >= 1_000 || ENDS.has(state));
  const number = `${count.toLocaleString("en")}${isLeast ? "+" : ""}`;
  return { state, ...lookOfState(state), number };
};

/** What asks for attention first comes first, as the server tells it. */
export const partsOf = (tally: Tally): TallyPart[] =>
  Object.entries(tally.counts).map(([state, count]) => part(tally, state as StepState, count));

/** The first ones, and how many kinds are left out. */
export function shownParts(tally: Tally): { parts: TallyPart[]; hidden: number } {
  const parts = partsOf(tally);
  return { parts: parts.slice(0, MOST_PARTS + 1), hidden: Math.max(parts.length - MOST_PARTS - 1, 0) };
}

/** "Failed 3, running 12, succeeded 1,000+" for a tooltip and for screen readers. */
export const tallyText = (tally: Tally): string => {
  const parts = partsOf(tally).map(({ word, number }) => `${word.toLowerCase()} ${number}`);
  const text = parts.join(", ") || lookOfState(tally.state).word;
  return text.charAt(0).toUpperCase() + text.slice(1);
};

/** The tally as one step run, for all that knows nothing of items. */
export const viewOf = (tally: Tally): StepRunView => ({
  key: tally.key,
  scope: null,
  state: tally.state,
  attempt: 0,
  attempts_max: 1,
  started_at: null,
  finished_at: null,
  port: tally.port,
  error: null,
  waiting: null,
});
