/** The document `branchline/1` and everything the server says about it, as plain JSON types. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export type Point = readonly [x: number, y: number];

export interface Retry {
  attempts?: number;
  first?: string;
  factor?: number;
  cap?: string;
  jitter?: "full" | "none";
  budget?: string | null;
}

export interface Join {
  mode?: "all" | "any" | "quorum";
  quorum?: number;
  deadline?: string;
  on_deadline?: "proceed" | "fail";
  on_branch_failure?: "abort" | "finish" | "continue";
  tolerate?: { count?: number; percent?: number };
  late?: "ignore" | "cancel";
}

export interface Undo {
  kind: string;
  config: JsonObject;
  /** It may run although nobody knows whether the step acted. */
  tolerant?: boolean;
}

export interface Step {
  key: string;
  name: string;
  kind: string;
  at: Point;
  config: JsonObject;
  parent?: string | null;
  disabled?: boolean;
  retry?: Retry | null;
  timeout?: string | null;
  queue?: string | null;
  undo?: Undo | null;
  join?: Join | null;
  note?: string | null;
}

export interface Edge {
  from: string;
  to: string;
  port?: string;
}

export interface Note {
  key: string;
  at: Point;
  size: Point;
  text: string;
}

export interface Region {
  key: string;
  name?: string;
  pattern: string;
  steps: string[];
}

/** How many runs of the workflow may be open at once, for each value of `key` where there is one. */
export type Concurrency = {
  limit?: number;
  key?: Json;
  on_limit?: "queue" | "replace" | "refuse";
};

export type Settings = {
  deadline?: string | null;
  on_failure?: "fail" | "undo";
  concurrency?: Concurrency | null;
  priority?: number;
};

export interface Document {
  format: "branchline/1";
  name: string;
  input: JsonObject;
  output: Json;
  settings: Settings;
  regions: Region[];
  steps: Step[];
  edges: Edge[];
  notes: Note[];
}

export interface PatchOperation {
  op: "add" | "remove" | "replace";
  path: string;
  value?: Json;
}

export interface Problem {
  code: string;
  severity: "error" | "warning";
  message: string;
  step: string | null;
  edge: { from: string; port: string; to: string } | null;
  field: string | null;
  fix: { label: string; patch: PatchOperation[] } | null;
}

export interface Schema {
  type?: string | string[];
  title?: string;
  description?: string;
  default?: Json;
  enum?: Json[];
  const?: Json;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  $ref?: string;
  $defs?: Record<string, Schema>;
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  additionalProperties?: boolean | Schema;
  format?: string;
  minimum?: number;
  maximum?: number;
  "x-ui"?: UiHints;
}

export interface UiHints {
  widget?: string;
  expression?: boolean;
  label?: string;
  help?: string;
  placeholder?: string;
  order?: number;
  language?: string;
}

export type Group = "do" | "flow" | "wait" | "tell";

export interface StepKind {
  kind: string;
  group: Group;
  name: string;
  description: string;
  icon: string;
  ports: string[];
  ports_from: "cases" | "outcomes" | null;
  /** The config field that brings the port `timeout` with it. */
  timeout_from: string | null;
  config_schema: Schema;
  effects: "external" | "none";
}

export interface RegisteredFunction {
  name: string;
  description: string;
  arguments_schema: Schema;
  effects: "external" | "none";
}

export interface Catalogue {
  kinds: StepKind[];
  functions: RegisteredFunction[];
}

export const EMPTY_CATALOGUE: Catalogue = { kinds: [], functions: [] };

export const emptyDocument = (name: string): Document => ({
  format: "branchline/1",
  name,
  input: { type: "object", properties: {} },
  output: null,
  settings: {},
  regions: [],
  steps: [],
  edges: [],
  notes: [],
});

/** Fills the optional lists, so that the rest of the core never asks whether they are there. */
export const normalise = (raw: Partial<Document>): Document => ({
  ...emptyDocument(raw.name ?? ""),
  ...raw,
  settings: raw.settings ?? {},
  input: raw.input ?? { type: "object", properties: {} },
  regions: raw.regions ?? [],
  steps: (raw.steps ?? []).map((step) => ({ ...step, config: step.config ?? {}, at: step.at ?? [0, 0] })),
  edges: raw.edges ?? [],
  notes: raw.notes ?? [],
});
