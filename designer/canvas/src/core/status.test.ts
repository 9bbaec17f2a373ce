import { describe, expect, it, vi } from "vitest";
import { attemptsText, lookOf, type StepRunView } from "./run.ts";
import { StatusStore } from "./status.ts";

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
  });
  it.each([
    [view("a"), ""],
    [view("a", { attempt: 3 }), "3 of 5"],
    [view("a", { state: "retrying" }), "1 of 5"],
  ])("counts attempts once there is more than one", (one, text) => expect(attemptsText(one)).toBe(text));
});
