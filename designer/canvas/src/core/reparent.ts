/** Steps that change container: their connections follow, because an edge joins only steps of one container. */
import { edgeId, FAILURE_PORTS, makeEdge, portOf, reachable } from "./graph.ts";
import { nestingOf } from "./nesting.ts";
import type { Document, Edge, Step } from "./types.ts";

/** The same connection between what holds its two ends at the level they share; null when that is one container. */
function lifted(doc: Document, edge: Edge): Edge | null {
  const nesting = nestingOf(doc);
  const ends = (key: string): string[] => [key, ...nesting.around(key)];
  const [sources, targets] = [ends(edge.from), ends(edge.to)];
  for (const from of sources) {
    const to = targets.find((key) => nesting.parent(key) === nesting.parent(from));
    if (to === undefined) continue;
    if (from === to) return null;
    const port = portOf(edge);
    const kept = from === edge.from || FAILURE_PORTS.has(port) ? port : "out";
    return makeEdge(from, kept, to);
  }
  return null;
}

/** What led to a step that left leads on to what followed it. */
function bridges(before: Document, after: Document, moved: ReadonlySet<string>): Edge[] {
  const [old, now] = [nestingOf(before), nestingOf(after)];
  const left = [...moved].filter(
    (key) => old.parent(key) && !now.around(key).includes(old.parent(key) ?? ""),
  );
  return left.flatMap((key) => {
    const stays = (other: string): boolean => !moved.has(other) && old.parent(other) === old.parent(key);
    const ins = before.edges.filter((edge) => edge.to === key && stays(edge.from));
    const outs = before.edges.filter(
      (edge) => edge.from === key && stays(edge.to) && !FAILURE_PORTS.has(portOf(edge)),
    );
    return ins.flatMap((into) => outs.map((out) => makeEdge(into.from, portOf(into), out.to)));
  });
}

const withParent = (step: Step, parent: string | null): Step => {
  const { parent: _, ...rest } = step;
  return parent === null ? rest : { ...rest, parent };
};

export interface Reparented {
  document: Document;
  /** The first connection that would have closed a circle and was left out. */
  closing: Edge | null;
  /** How many connections lead elsewhere now, or nowhere. */
  rewired: number;
}

/** `edges` with those of the moved steps lifted to the border; none twice, none in a circle. */
function refit(before: Document, after: Document, moved: ReadonlySet<string>): Reparented {
  const nesting = nestingOf(after);
  const kept: Edge[] = [];
  const have = new Set<string>();
  let closing: Edge | null = null;
  let rewired = 0;
  const take = (edge: Edge): void => {
    if (have.has(edgeId(edge))) return;
    if (reachable({ ...after, edges: kept }, edge.to).has(edge.from)) closing ??= edge;
    else {
      have.add(edgeId(edge));
      kept.push(edge);
    }
  };
  const crossing: Edge[] = [];
  for (const edge of before.edges) {
    const touches = moved.has(edge.from) || moved.has(edge.to);
    if (touches && nesting.parent(edge.from) !== nesting.parent(edge.to)) crossing.push(edge);
    else {
      have.add(edgeId(edge));
      kept.push(edge);
    }
  }
  for (const edge of crossing) {
    rewired += 1;
    const next = lifted(after, edge);
    if (next) take(next);
  }
  for (const edge of bridges(before, after, moved)) take(edge);
  return { document: { ...after, edges: kept }, closing, rewired };
}

/** The drawing with the steps (and all they hold) in another container, or in none. */
export function reparented(doc: Document, keys: ReadonlySet<string>, parent: string | null): Reparented {
  const steps = doc.steps.map((step) => (keys.has(step.key) ? withParent(step, parent) : step));
  return refit(doc, { ...doc, steps }, keys);
}

/** The drawing with a new container around the steps. */
export function wrapped(doc: Document, keys: ReadonlySet<string>, container: Step): Reparented {
  const first = doc.steps.findIndex((step) => keys.has(step.key));
  const steps = doc.steps.map((step) => (keys.has(step.key) ? withParent(step, container.key) : step));
  steps.splice(Math.max(first, 0), 0, container);
  return refit(doc, { ...doc, steps }, keys);
}
