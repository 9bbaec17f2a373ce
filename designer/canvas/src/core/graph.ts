import { nestingOf } from "./nesting.ts";
import type { Document, Edge, Step, StepKind } from "./types.ts";

export const OUT = "out";
export const FAILURE_PORTS: ReadonlySet<string> = new Set(["error", "timeout"]);

export const portOf = (edge: Edge): string => edge.port ?? OUT;
export const edgeId = (edge: Edge): string => `${edge.from}:${portOf(edge)}:${edge.to}`;

/** An edge as the document stores it: the default port is left out. */
export const makeEdge = (from: string, port: string, to: string): Edge =>
  port === OUT ? { from, to } : { from, port, to };

export const findStep = (doc: Document, key: string): Step | undefined =>
  doc.steps.find((step) => step.key === key);

export const incoming = (doc: Document, key: string): Edge[] => doc.edges.filter((edge) => edge.to === key);
export const outgoing = (doc: Document, key: string): Edge[] => doc.edges.filter((edge) => edge.from === key);

interface Keyed {
  port?: unknown;
  key?: unknown;
}

const listedPorts = (value: unknown): string[] => {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) => {
    if (typeof item === "string") return [item];
    const named = item as Keyed | null;
    const name = named?.port ?? named?.key;
    return typeof name === "string" && name ? [name] : [];
  });
};

/** Ports that such a kind has whatever its config lists. */
const ALWAYS: Record<string, string[]> = { cases: ["otherwise"], outcomes: [] };

/**
 * All ways out of a step, success ports first: as the server computes them from kind and config.
 * While the config lists nothing yet, a kind has the ports it came with; one that waits for somebody or something has
 * `timeout` only when that has a time.
 */
export function portsOf(step: Step, kind: StepKind | undefined): string[] {
  if (!kind) return [OUT, "error"];
  const late = isTimed(step, kind) ? ["timeout"] : [];
  if (!kind.ports_from) return [...kind.ports, ...late];
  const listed = step.config[kind.ports_from];
  const always = ALWAYS[kind.ports_from] ?? [];
  const named =
    listed === undefined ? kind.ports.filter((port) => !FAILURE_PORTS.has(port)) : listedPorts(listed);
  const failure = kind.ports.filter((port) => FAILURE_PORTS.has(port) && port !== "timeout");
  return [...new Set([...named, ...always, ...failure, ...late])];
}

const isTimed = ({ config }: Step, { timeout_from: field }: StepKind): boolean =>
  field !== null && config[field] !== undefined && config[field] !== null;

export const successPorts = (ports: string[]): string[] => ports.filter((port) => !FAILURE_PORTS.has(port));
export const failurePorts = (ports: string[]): string[] => ports.filter((port) => FAILURE_PORTS.has(port));

/** Everything that can be reached from `start` along the edges, `start` itself only when a cycle leads back. */
export function reachable(doc: Document, start: string): Set<string> {
  const next = new Map<string, string[]>();
  for (const edge of doc.edges) {
    const list = next.get(edge.from);
    if (list) list.push(edge.to);
    else next.set(edge.from, [edge.to]);
  }
  const seen = new Set<string>();
  const queue = [...(next.get(start) ?? [])];
  for (let key = queue.pop(); key !== undefined; key = queue.pop()) {
    if (seen.has(key)) continue;
    seen.add(key);
    queue.push(...(next.get(key) ?? []));
  }
  return seen;
}

/** The same graph with every arrow turned round: `reachable` then walks upstream. */
export const reversed = (doc: Document): Document => ({
  ...doc,
  edges: doc.edges.map((edge) => ({ from: edge.to, to: edge.from })),
});

/** Steps in an order in which no arrow points back; steps on a cycle come last, in drawing order. */
export function inOrder(doc: Document): Step[] {
  const open = new Map(doc.steps.map((step) => [step.key, 0]));
  for (const edge of doc.edges) if (open.has(edge.from)) open.set(edge.to, (open.get(edge.to) ?? 0) + 1);
  const byKey = new Map(doc.steps.map((step) => [step.key, step]));
  const targets = new Map<string, string[]>();
  for (const edge of doc.edges) targets.set(edge.from, [...(targets.get(edge.from) ?? []), edge.to]);
  const ready = doc.steps.filter((step) => open.get(step.key) === 0);
  const done: Step[] = [];
  for (let index = 0; index < ready.length; index += 1) {
    const step = ready[index] as Step;
    done.push(step);
    for (const to of targets.get(step.key) ?? []) {
      const left = (open.get(to) ?? 0) - 1;
      open.set(to, left);
      const target = byKey.get(to);
      if (left === 0 && target) ready.push(target);
    }
  }
  const placed = new Set(done);
  return [...done, ...doc.steps.filter((step) => !placed.has(step))];
}

/** All steps as an outline shows them: in order, and after each container what it holds, unless it is closed. */
export function outlined(
  doc: Document,
  closed: ReadonlySet<string> = new Set(),
): { step: Step; level: number }[] {
  const nesting = nestingOf(doc);
  const order = new Map(inOrder(doc).map((step, index) => [step.key, index]));
  const place = (step: Step): number => order.get(step.key) ?? 0;
  const below = (parent: string | null, level: number): { step: Step; level: number }[] =>
    [...nesting.children(parent)]
      .sort((a, b) => place(a) - place(b))
      .flatMap((step) => [{ step, level }, ...(closed.has(step.key) ? [] : below(step.key, level + 1))]);
  return below(null, 1);
}
