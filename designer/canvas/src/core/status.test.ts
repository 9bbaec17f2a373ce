import { describe, expect, it, vi } from "vitest";
import { attemptsText, lookOf, progressText, type StepRunView, type StepState, type Tally } from "./run.ts";
import { StatusStore } from "./status.ts";
import { shownParts, tallyText } from "./tally.ts";

const view = (key: string, more: Partial<StepRunView> = {}): StepRunView => ({
  key,
  scope: null,
  state: "running",
  attempt: 1,
  attempts_max: 5,
  started_at: null,
  finished_at: null,
  port: null,
  error: null,
  waiting: null,
  ...more,
});

describe("status store", () => {
  it("wakes only the step that changed", () => {
    const store = new StatusStore();
    const [charge, refund] = [vi.fn(), vi.fn()];
    store.subscribe("charge", charge);
    store.subscribe("refund", refund);
    store.apply([view("charge")]);
    expect(charge).toHaveBeenCalledTimes(1);
    expect(refund).not.toHaveBeenCalled();
  });

  it("shows the scope that asks most for attention, and counts the finished ones", () => {
    const store = new StatusStore();
    store.apply([
      view("charge", { scope: "0", state: "succeeded" }),
      view("charge", { scope: "1", state: "failed" }),
      view("charge", { scope: "2", state: "running" }),
    ]);
    expect(store.get("charge")).toMatchObject({ shown: { state: "failed" }, total: 3, done: 2 });
    store.apply([view("charge", { scope: "1", state: "running" })]);
    expect(store.get("charge")?.shown.state).toBe("running");
  });

  it("forgets with a fresh snapshot what is not in it", () => {
    const store = new StatusStore();
    const gone = vi.fn();
    store.apply([view("charge")]);
    store.subscribe("charge", gone);
    store.reset([view("refund")]);
    expect(store.get("charge")).toBeUndefined();
    expect(gone).toHaveBeenCalled();
  });

  it.each([
    ["out", ["out"], "succeeded", true],
    ["error", ["out"], "succeeded", false],
    ["out", ["out"], "skipped", false],
    ["out", null, "succeeded", false],
  ] as const)("port %s of %j to a %s step is taken: %s", (port, ports, state, taken) => {
    const store = new StatusStore();
    store.apply([view("charge", { port: ports ? [...ports] : null }), view("refund", { state })]);
    expect(store.taken("charge", port, "refund")).toBe(taken);
  });
});

describe("looks", () => {
  it("shows a person's icon while it waits for a person", () => {
    const waiting = { kind: "person" as const, text: "Waiting for Ann", until: null };
    expect(lookOf(view("a", { state: "waiting", waiting }))).toMatchObject({ word: "Waiting", icon: "user" });
    const event = { kind: "event" as const, text: "Waiting for the event order.paid", until: null };
    expect(lookOf(view("a", { state: "waiting", waiting: event })).icon).toBe("radio");
  });
  it.each([
    [view("a"), ""],
    [view("a", { attempt: 3 }), "3 of 5"],
    [view("a", { state: "retrying" }), "1 of 5"],
  ])("counts attempts once there is more than one", (one, text) => expect(attemptsText(one)).toBe(text));
});

describe("tallies of steps inside a for-each", () => {
  const tally = (counts: Tally["counts"], more = false): Tally => ({
    key: "charge",
    state: (Object.keys(counts)[0] ?? "skipped") as StepState,
    counts,
    port: ["out"],
    more,
  });

  it("stand instead of step runs, and wake the step only when they change", () => {
    const store = new StatusStore();
    const charge = vi.fn();
    store.subscribe("charge", charge);
    store.apply([], [tally({ failed: 3, succeeded: 12 })]);
    store.apply([], [tally({ failed: 3, succeeded: 12 })]);
    expect(charge).toHaveBeenCalledTimes(1);
    expect(store.get("charge")).toMatchObject({
      shown: { state: "failed" },
      tally: { counts: { failed: 3 } },
    });
    store.apply([], [tally({ succeeded: 15 })]);
    expect(store.get("charge")?.shown.state).toBe("succeeded");
  });

  it("are forgotten with a fresh snapshot", () => {
    const store = new StatusStore();
    store.reset([], [tally({ running: 1 })]);
    store.reset([view("refund")], []);
    expect(store.get("charge")).toBeUndefined();
  });

  it("tell the path that some items took", () => {
    const store = new StatusStore();
    store.apply([], [tally({ succeeded: 1 }), { ...tally({ running: 1 }), key: "refund" }]);
    expect(store.taken("charge", "out", "refund")).toBe(true);
    expect(store.taken("charge", "error", "refund")).toBe(false);
  });

  it.each([
    [tally({ failed: 3, running: 12, succeeded: 1_000 }, true), "Failed 3, running 12, succeeded 1,000+"],
    [
      tally({ failed: 3, running: 12, succeeded: 997, skipped: 3 }, true),
      "Failed 3, running 12, succeeded 997+, skipped 3+",
    ],
    [tally({ failed: 1_000, succeeded: 20 }, true), "Failed 1,000+, succeeded 20+"],
    [tally({ succeeded: 1_000 }), "Succeeded 1,000"],
    [tally({}), "Skipped"],
  ])("are told in words", (one, text) => expect(tallyText(one)).toBe(text));

  it("show three kinds on a step, and that there are more", () => {
    const all = tally({ failed: 1, running: 2, waiting: 3, cancelled: 4, succeeded: 5 });
    expect(shownParts(all)).toMatchObject({
      parts: [{ number: "1" }, { number: "2" }, { number: "3" }],
      hidden: 2,
    });
  });
});

describe("progress", () => {
  it.each([
    [{ total: 1_000, ok: 993, failed: 2 }, "995 of 1,000, 2 failed"],
    [{ total: 3, ok: 0, failed: 0 }, "0 of 3"],
    [null, ""],
  ])("of a for-each is one line", (progress, text) =>
    expect(progressText(view("each", { progress }))).toBe(text),
  );
});
