/** May this happen? A rule answers yes, or says why not and what to do instead. It never changes anything. */
import { edgeId, findStep, makeEdge, portsOf, reachable } from "./graph.ts";
import { KEY_PATTERN } from "./keys.ts";
import type { Document, StepKind } from "./types.ts";

export type Answer = { ok: true } | { ok: false; why: string };
export const yes: Answer = { ok: true };
export const no = (why: string): Answer => ({ ok: false, why });

type KindOf = (kind: string) => StepKind | undefined;
const called = (doc: Document, key: string): string => findStep(doc, key)?.name || key;

export function mayConnect(doc: Document, from: string, port: string, to: string, kindOf: KindOf): Answer {
  const source = findStep(doc, from);
  const target = findStep(doc, to);
  if (!source || !target) return no("A connection leads from one step to another.");
  if (from === to) {
    return no(`"${called(doc, from)}" cannot lead to itself. Use a repeat to run it again.`);
  }
  const ports = portsOf(source, kindOf(source.kind));
  if (!ports.includes(port)) {
    return no(`"${called(doc, from)}" has no port "${port}". Its ports are ${ports.join(", ")}.`);
  }
  const wanted = edgeId(makeEdge(from, port, to));
  if (doc.edges.some((edge) => edgeId(edge) === wanted)) {
    return no(`"${called(doc, from)}" already leads to "${called(doc, to)}" by ${port}.`);
  }
  if (reachable(doc, to).has(from)) {
    return no(
      `That closes a circle: "${called(doc, to)}" already leads to "${called(doc, from)}". Use a repeat.`,
    );
  }
  return yes;
}

export function mayRenameKey(doc: Document, key: string, wanted: string): Answer {
  if (!KEY_PATTERN.test(wanted)) {
    return no(`"${wanted}" is not a key. Start with a letter, then letters a-z, digits and _, at most 63.`);
  }
  if (wanted !== key && findStep(doc, wanted)) {
    return no(`"${wanted}" is taken by "${called(doc, wanted)}". Choose another key.`);
  }
  return yes;
}

export function mayInsert(doc: Document, key: string, from: string, to: string): Answer {
  if (key === from || key === to) return no(`"${called(doc, key)}" is already an end of that connection.`);
  const without = { ...doc, edges: doc.edges.filter((edge) => !(edge.from === from && edge.to === to)) };
  const after = reachable(without, key);
  if (after.has(from) || reachable(without, to).has(key)) {
    return no(`"${called(doc, key)}" would close a circle there. Use a repeat.`);
  }
  return yes;
}
