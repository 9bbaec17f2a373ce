/** What a screen reader says of a step: "Charge card, HTTP request, after Reserve stock, fails to Refund". */
import { OUT, portOf } from "./graph.ts";
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

/** Prepares a document once, then speaks any of its steps without walking all edges again. */
export function speaker(
  doc: Document,
  kindOf: (kind: string) => StepKind | undefined,
  problemsOf: (key: string) => Problem[] = () => [],
): (step: Step) => string {
  const names = new Map(doc.steps.map((step) => [step.key, step.name || step.key]));
  const before = grouped(doc.edges, (edge) => edge.to);
  const after = grouped(doc.edges, (edge) => edge.from);
  const list = (keys: string[]): string => keys.map((key) => names.get(key) ?? key).join(" and ");
  return (step) => {
    const parts = [step.name || step.key, kindOf(step.kind)?.name ?? step.kind];
    const sources = [...new Set((before.get(step.key) ?? []).map((edge) => edge.from))];
    parts.push(sources.length ? `after ${list(sources)}` : "starts the run");
    for (const [port, edges] of grouped(after.get(step.key) ?? [], portOf)) {
      parts.push(`${leads(port)} ${list(edges.map((edge) => edge.to))}`);
    }
    if (step.disabled) parts.push("disabled");
    const count = problemsOf(step.key).length;
    if (count) parts.push(count === 1 ? "1 problem" : `${count} problems`);
    return parts.join(", ");
  };
}
