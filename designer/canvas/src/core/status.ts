/**
 * Live status by step, outside the node array: a change wakes only the step it concerns
 * (2,000 steps: 1.9 ms of script a batch, against 42 ms when the status sits in the nodes).
 */
import { FINAL_STEP, type StepRunView, type StepState, type Tally } from "./run.ts";
import { viewOf } from "./tally.ts";

type Listener = () => void;

/** A step that runs in several scopes shows the one that asks most for attention. */
const ATTENTION: StepState[] = [
  "undo_failed",
  "failed",
  "timed_out",
  "undoing",
  "retrying",
  "held",
  "running",
  "waiting",
  "ready",
  "cancelled",
  "succeeded",
  "undone",
  "skipped",
];

export interface StepStatus {
  shown: StepRunView;
  total: number;
  done: number;
  /** Of a step inside a for-each. */
  tally?: Tally;
}

const same = (one: Tally | undefined, other: Tally): boolean => JSON.stringify(one) === JSON.stringify(other);

export class StatusStore {
  readonly #views = new Map<string, Map<string, StepRunView>>();
  readonly #tallies = new Map<string, Tally>();
  readonly #shown = new Map<string, StepStatus>();
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #everything = new Set<Listener>();
  #version = 0;

  readonly get = (key: string): StepStatus | undefined => this.#shown.get(key);
  readonly version = (): number => this.#version;

  /** Takes changes in any order and any number of times; a repeated one changes nothing. Tallies are told whole. */
  apply(changes: StepRunView[], tallies: Tally[] = []): void {
    const touched = new Set<string>();
    for (const tally of tallies) {
      if (same(this.#tallies.get(tally.key), tally)) continue;
      this.#tallies.set(tally.key, tally);
      touched.add(tally.key);
    }
    for (const view of changes) {
      const scopes = this.#views.get(view.key) ?? new Map<string, StepRunView>();
      scopes.set(view.scope ?? "", view);
      this.#views.set(view.key, scopes);
      touched.add(view.key);
    }
    for (const key of touched) this.#show(key);
    if (!touched.size) return;
    this.#version += 1;
    for (const listener of [...this.#everything]) listener();
  }

  /** Replaces everything by a fresh snapshot. */
  reset(views: StepRunView[], tallies: Tally[] = []): void {
    const told = new Set([...views, ...tallies].map(({ key }) => key));
    const gone = [...this.#shown.keys()].filter((key) => !told.has(key));
    this.#views.clear();
    this.#tallies.clear();
    for (const key of gone) {
      this.#shown.delete(key);
      this.#wake(key);
    }
    this.apply(views, tallies);
  }

  #show(key: string): void {
    const tally = this.#tallies.get(key);
    if (tally) {
      this.#shown.set(key, { shown: viewOf(tally), total: 1, done: 0, tally });
      this.#wake(key);
      return;
    }
    const views = [...(this.#views.get(key)?.values() ?? [])];
    views.sort((left, right) => ATTENTION.indexOf(left.state) - ATTENTION.indexOf(right.state));
    const [first] = views;
    if (!first) return;
    const done = views.filter((view) => FINAL_STEP.has(view.state)).length;
    this.#shown.set(key, { shown: first, total: views.length, done });
    this.#wake(key);
  }

  #wake(key: string): void {
    for (const listener of [...(this.#listeners.get(key) ?? [])]) listener();
  }

  subscribe(key: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(key) ?? new Set();
    listeners.add(listener);
    this.#listeners.set(key, listeners);
    return () => listeners.delete(listener);
  }

  readonly subscribeAll = (listener: Listener): (() => void) => {
    this.#everything.add(listener);
    return () => this.#everything.delete(listener);
  };

  /** True when control went along this port of the step. */
  taken(from: string, port: string, to: string): boolean {
    const source = this.#shown.get(from)?.shown;
    const target = this.#shown.get(to)?.shown;
    return Boolean(source?.port?.includes(port)) && target !== undefined && target.state !== "skipped";
  }
}
