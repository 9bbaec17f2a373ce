import { spokenDuration } from "./durations.ts";
import { isExpression, isJsonObject } from "./equal.ts";
import type { Json, Step, StepKind } from "./types.ts";

/** A text that is written as an expression, as people read it: `f'Order {input.id}'` is "Order …". */
function asRead(source: string): string {
  const [, formatted, , body] = /^(f?)(['"])((?:(?!\2)[^\\\n])*)\2$/.exec(source.trim()) ?? [];
  if (body === undefined) return source;
  return formatted
    ? body.replace(/\{\{|\}\}|\{[^{}]*\}/g, (hole) =>
        hole.length > 2 || hole === "{}" ? "…" : hole.charAt(0),
      )
    : body;
}

const text = (value: Json | undefined): string => {
  if (isExpression(value)) return asRead(value.$);
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
};

/** The one fact of a config that tells two steps of a kind apart; the kind's name where there is none. */
export function summaryOf(step: Step, kind: StepKind | undefined): string {
  const { config } = step;
  const name = kind?.name ?? step.kind;
  switch (step.kind) {
    case "call":
      return text(config.function) || name;
    case "http":
      return text(config.url)
        ? `${text(config.method) || "GET"} ${text(config.url).replace(/^https?:\/\//, "")}`
        : name;
    case "delay":
      return text(config.for) ? `${name} ${spokenDuration(text(config.for))}` : name;
    case "wait_event":
      return awaited(config) || name;
    case "email":
      return text(config.subject) || name;
    case "human_task":
      return isJsonObject(config.assignees) ? assignees(config.assignees) || name : name;
    case "for_each":
      return text(config.items) ? `${name} of ${text(config.items)}` : name;
    case "repeat":
      return repeated(config) || name;
    case "scope":
      return SCOPES[text(config.on_failure)] ?? name;
    case "cancel":
      return cancelled(config) || name;
    case "end":
      return config.whole === true ? "Ends the whole run" : name;
    case "sub_workflow":
      return text(config.workflow) || name;
    default:
      return name;
  }
}

const SCOPES: Record<string, string> = {
  fail: "A failure inside fails it",
  undo: "A failure inside undoes it",
  continue: "Goes on after a failure inside",
};

/** The type, and the key that the event must have: "order.paid for input.order". */
function awaited(config: { [key: string]: Json }): string {
  const key = text(config.key);
  return text(config.type) && `${text(config.type)}${key && ` for ${key}`}`;
}

function cancelled(config: { [key: string]: Json }): string {
  const keys = Array.isArray(config.steps) ? config.steps.map(text) : [];
  const region = text(config.region) ? [`the region ${text(config.region)}`] : [];
  const targets = [...keys, ...region].filter(Boolean).join(", ");
  return targets && `${config.as === "complete" ? "Completes" : "Cancels"} ${targets}`;
}

function repeated(config: { [key: string]: Json }): string {
  const turns = text(config.turns) ? `, at most ${text(config.turns)} turns` : "";
  if (text(config.until)) return `Until ${text(config.until)}${turns}`;
  return text(config.while) ? `While ${text(config.while)}${turns}` : "";
}

const assignees = (value: { [key: string]: Json }): string =>
  ["users", "groups", "roles"]
    .flatMap((who) => (Array.isArray(value[who]) ? (value[who] as Json[]).map((item) => text(item)) : []))
    .filter(Boolean)
    .join(", ");
