import type { StepRunView } from "../src/core/run.ts";

const view = (key: string, more: Partial<StepRunView>): StepRunView => ({
  key,
  scope: null,
  state: "ready",
  attempt: 1,
  attempts_max: 5,
  started_at: null,
  finished_at: null,
  port: null,
  error: null,
  waiting: null,
  ...more,
});

export const runViews = (): StepRunView[] => [
  view("reserve_stock", { state: "succeeded", attempt: 2, port: ["out"] }),
  view("check_total", { state: "succeeded", port: ["large"] }),
  view("approve", {
    state: "waiting",
    waiting: { kind: "person", text: "Waiting for the group managers", until: null },
  }),
];

export const laterViews = (): StepRunView[] => [
  view("approve", { state: "succeeded", port: ["approved"] }),
  view("charge_card", {
    state: "retrying",
    attempt: 3,
    waiting: { kind: "retry", text: "Retry 3 of 5 at 14:09", until: null },
  }),
];

export const endViews = (): StepRunView[] => [
  view("charge_card", {
    state: "failed",
    attempt: 5,
    port: ["error"],
    error: { code: "http_status", message: "The server answered 502." },
  }),
  view("apologise", { state: "running" }),
  view("receipt", { state: "skipped" }),
];
