/** What a screen reader says of a step: "Charge card, HTTP request, after Reserve stock, fails to Refund". */
import { OUT, portOf } from "./graph.ts";
import { isContainer, nestingOf } from "./nesting.ts";
import type { Document, Edge, Problem, Step, StepKind } from "./types.ts";

const leads = (port: string): string => {
  if (port === OUT) return "then";
  if (port === "error") return "fails to";
  return port === "timeout" ? "times out to" : `${port} to`;
};

const grouped = (edges: Edge[], by: (edge: Edge) => string): Map<string, Edge[]> => {
  const groups = new Map<string, Edge[]>();
  for (const edge of edges) {
    const group = groups.get(by(edge));
    if (group) group.push(edge);
    else groups.set(by(edge), [edge]);
  }
  return groups;
};

const holds = (count: number): string => {
  if (!count) return "holds no steps yet";
  return count === 1 ? "holds 1 step" : `holds ${count} steps`;
};

/** Prepares a document once, then speaks any of its steps without walking all edges again. */
export function speaker(
  doc: Document,
  kindOf: (kind: string) => StepKind | undefined,
  problemsOf: (key: string) => Problem[] = () => [],
): (step: Step) => string {
  const nesting = nestingOf(doc);
  const names = new Map(doc.steps.map((step) => [step.key, step.name || step.key]));
  const before = grouped(doc.edges, (edge) => edge.to);
  const after = grouped(doc.edges, (edge) => edge.from);
  const list = (keys: string[]): string => keys.map((key) => names.get(key) ?? key).join(" and ");
  return (step) => {
    const parts = [step.name || step.key, kindOf(step.kind)?.name ?? step.kind];
    const sources = [...new Set((before.get(step.key) ?? []).map((edge) => edge.from))];
    const parent = nesting.parent(step.key);
    if (parent) parts.push(`inside ${names.get(parent)}`);
    const starts = parent ? `starts ${names.get(parent)}` : "starts the run";
    parts.push(sources.length ? `after ${list(sources)}` : starts);
    if (isContainer(step)) parts.push(holds(nesting.inside(step.key).length));
    for (const [port, edges] of grouped(after.get(step.key) ?? [], portOf)) {
      parts.push(`${leads(port)} ${list(edges.map((edge) => edge.to))}`);
    }
    if (step.disabled) parts.push("disabled");
    const count = problemsOf(step.key).length;
    if (count) parts.push(count === 1 ? "1 problem" : `${count} problems`);
    return parts.join(", ");
  };
}
