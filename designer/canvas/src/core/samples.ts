/** Small drawings for the tests of the core. */
import { type Document, emptyDocument, type Step, type StepKind } from "./types.ts";

export const step = (key: string, more: Partial<Step> = {}): Step => ({
  key,
  name: key.charAt(0).toUpperCase() + key.slice(1),
  kind: "transform",
  at: [0, 0],
  config: {},
  ...more,
});

const kind = (name: string, more: Partial<StepKind> = {}): StepKind => ({
  kind: name,
  group: "do",
  name: name.charAt(0).toUpperCase() + name.slice(1),
  description: "",
  icon: "box",
  ports: ["out", "error", "timeout"],
  ports_from: null,
  timeout_from: null,
  config_schema: {},
  effects: "none",
  ...more,
});

export const KINDS: Record<string, StepKind> = {
  transform: kind("transform"),
  http: kind("http", { name: "HTTP request" }),
  choose: kind("choose", { ports: ["otherwise", "error"], ports_from: "cases" }),
  human_task: kind("human_task", {
    ports: ["approved", "rejected", "error"],
    ports_from: "outcomes",
    timeout_from: "due",
  }),
  wait_event: kind("wait_event", { group: "wait", ports: ["out", "error"], timeout_from: "deadline" }),
  end: kind("end", { ports: [] }),
  for_each: kind("for_each", { group: "flow", name: "For each", ports: ["out", "error"] }),
  repeat: kind("repeat", { group: "flow", ports: ["out", "error"] }),
  scope: kind("scope", { group: "flow", ports: ["out", "error"] }),
};

export const kindOf = (name: string): StepKind | undefined => KINDS[name];

/** reserve -> charge -> receipt, charge fails to refund. */
export const shop = (): Document => ({
  ...emptyDocument("Shop"),
  steps: [
    step("reserve", { at: [0, 0] }),
    step("charge", {
      kind: "http",
      at: [288, 0],
      config: { url: { $: "steps.reserve.url" }, body: "steps.reserve" },
    }),
    step("receipt", { at: [576, 0], config: { value: { $: "f'{steps.charge.id} {steps[\"reserve\"]}'" } } }),
    step("refund", { at: [576, 120], config: { value: { $: "errors.charge.message" } } }),
  ],
  edges: [
    { from: "reserve", to: "charge" },
    { from: "charge", to: "receipt" },
    { from: "charge", port: "error", to: "refund" },
  ],
  notes: [{ key: "note", at: [0, 200], size: [200, 80], text: "Hello" }],
});

/** load -> each [pick -> turns [ask -> wait] -> pack] -> report; beside it `note_down`, connected to nothing. */
export const nested = (): Document => ({
  ...emptyDocument("Nested"),
  steps: [
    step("load", { at: [0, 0] }),
    step("each", { kind: "for_each", at: [288, 0] }),
    step("pick", { at: [312, 80], parent: "each" }),
    step("turns", { kind: "repeat", at: [600, 80], parent: "each" }),
    step("ask", { at: [624, 160], parent: "turns" }),
    step("wait", { at: [912, 160], parent: "turns" }),
    step("pack", { at: [1248, 80], parent: "each" }),
    step("report", { at: [1600, 0] }),
    step("note_down", { at: [0, 400] }),
  ],
  edges: [
    { from: "load", to: "each" },
    { from: "pick", to: "turns" },
    { from: "ask", to: "wait" },
    { from: "turns", to: "pack" },
    { from: "each", to: "report" },
  ],
});

export const LAYOUT = { kindOf, collapsed: new Set<string>() };

/** A small generator with a seed, so that a failing case can be run again. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
