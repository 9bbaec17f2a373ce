/** Where expressions name a step by key, and how to rename it there. */
import { isJsonObject } from "./equal.ts";
import type { Document, Json, Step } from "./types.ts";

const HOLDERS = "steps|errors|join\\.branches";
const mention = (key: string): RegExp => new RegExp(`\\b(${HOLDERS})\\.${key}\\b`, "g");
const subscript = (key: string): RegExp => new RegExp(`\\b(${HOLDERS})\\[(["'])${key}\\2\\]`, "g");

const renamedText = (text: string, from: string, to: string): string =>
  text.replace(mention(from), `$1.${to}`).replace(subscript(from), `$1[$2${to}$2]`);

/** The value with every expression in it (and script code) renamed; the very same value when nothing matched. */
export function renamedValue(value: Json, from: string, to: string, inCode = false): Json {
  if (typeof value === "string") return inCode ? renamedText(value, from, to) : value;
  if (Array.isArray(value)) return value.map((item) => renamedValue(item, from, to));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      renamedValue(item, from, to, name === "$" || name === "code"),
    ]),
  );
}

const renamedStep = (step: Step, from: string, to: string): Step => {
  const next: Step = { ...step, config: renamedValue(step.config, from, to) as Step["config"] };
  if (step.undo) {
    next.undo = { ...step.undo, config: renamedValue(step.undo.config, from, to) as Step["config"] };
  }
  const named = step.kind === "cancel" ? step.config.steps : undefined;
  if (Array.isArray(named)) {
    next.config = { ...next.config, steps: named.map((key) => (key === from ? to : key)) };
  }
  if (step.key === from) next.key = to;
  if (step.parent === from) next.parent = to;
  return next;
};

/** The document with step `from` called `to` in steps, edges, regions, what is cancelled and every expression. */
export function withRenamedKey(doc: Document, from: string, to: string): Document {
  const end = (key: string): string => (key === from ? to : key);
  return {
    ...doc,
    output: renamedValue(doc.output, from, to),
    steps: doc.steps.map((step) => renamedStep(step, from, to)),
    edges: doc.edges.map((edge) => ({ ...edge, from: end(edge.from), to: end(edge.to) })),
    regions: doc.regions.map((region) => ({ ...region, steps: region.steps.map(end) })),
  };
}
