/** What the server says of a run, and how a state looks: word, icon and colour together, never colour alone. */
export type StepState =
  | "ready"
  | "running"
  | "waiting"
  | "retrying"
  | "held"
  | "undoing"
  | "succeeded"
  | "failed"
  | "timed_out"
  | "skipped"
  | "cancelled"
  | "undone"
  | "undo_failed";

export interface Waiting {
  kind: "person" | "event" | "time" | "retry" | "branch" | "worker" | "paused" | "child";
  text: string;
  until: string | null;
}

export interface StepRunView {
  key: string;
  scope: string | null;
  state: StepState;
  attempt: number;
  attempts_max: number;
  started_at: string | null;
  finished_at: string | null;
  port: string[] | null;
  error: { code: string; message: string } | null;
  waiting: Waiting | null;
  /** Of a for-each that has begun; what runs inside its items is not told step by step. */
  progress?: { total: number; ok: number; failed: number } | null;
}

/** A step inside a for-each over all items: the state that asks for attention most, and how many stand in each. */
export interface Tally {
  key: string;
  state: StepState;
  counts: Partial<Record<StepState, number>>;
  port: string[];
  /** There are more: the newest 1,000 ends are counted, and 1,000 failures. */
  more: boolean;
}

export interface RunView {
  id: string;
  state: string;
  version: number;
  seq: number;
  error: { code: string; message: string; step: string | null } | null;
}

export interface Look {
  word: string;
  icon: string;
  /** The tail of `--state-...`. */
  tone: string;
}

const LOOKS: Record<StepState, Look> = {
  ready: { word: "Queued", icon: "ellipsis", tone: "ready" },
  running: { word: "Running", icon: "loader-circle", tone: "running" },
  waiting: { word: "Waiting", icon: "clock", tone: "waiting" },
  retrying: { word: "Retrying", icon: "rotate-cw", tone: "retrying" },
  held: { word: "Held", icon: "pause", tone: "waiting" },
  undoing: { word: "Undoing", icon: "undo-2", tone: "undone" },
  succeeded: { word: "Succeeded", icon: "check", tone: "succeeded" },
  failed: { word: "Failed", icon: "x", tone: "failed" },
  timed_out: { word: "Timed out", icon: "alarm-clock-off", tone: "timed-out" },
  skipped: { word: "Skipped", icon: "ban", tone: "skipped" },
  cancelled: { word: "Cancelled", icon: "square", tone: "cancelled" },
  undone: { word: "Undone", icon: "undo-2", tone: "undone" },
  undo_failed: { word: "Could not be undone", icon: "undo-broken", tone: "undo-failed" },
};

const WAITING_ICONS: Partial<Record<Waiting["kind"], string>> = {
  person: "user",
  event: "radio",
  retry: "rotate-cw",
  branch: "git-merge",
  worker: "ellipsis",
  paused: "pause",
  child: "workflow",
};

export const lookOfState = (state: StepState): Look => LOOKS[state] ?? LOOKS.ready;

export function lookOf(view: StepRunView): Look {
  const look = lookOfState(view.state);
  const icon = view.state === "waiting" && view.waiting ? WAITING_ICONS[view.waiting.kind] : undefined;
  return icon ? { ...look, icon } : look;
}

export const FINAL_STEP: ReadonlySet<string> = new Set([
  "succeeded",
  "failed",
  "timed_out",
  "skipped",
  "cancelled",
  "undone",
  "undo_failed",
]);

export const FINAL_RUN: ReadonlySet<string> = new Set([
  "succeeded",
  "failed",
  "cancelled",
  "undone",
  "undo_stuck",
]);

/** "3 of 5" once a step needed more than its first attempt. */
export const attemptsText = (view: StepRunView): string =>
  view.attempt > 1 || view.state === "retrying"
    ? `${view.attempt} of ${Math.max(view.attempt, view.attempts_max)}`
    : "";

/** "995 of 1,000, 2 failed" of a for-each that has begun. */
export const progressText = ({ progress }: StepRunView): string => {
  if (!progress) return "";
  const [done, total, failed] = [progress.ok + progress.failed, progress.total, progress.failed].map(
    (number) => number.toLocaleString("en"),
  );
  return `${done} of ${total}${progress.failed ? `, ${failed} failed` : ""}`;
};
