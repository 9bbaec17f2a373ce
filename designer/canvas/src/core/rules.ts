/** May this happen? A rule answers yes, or says why not and what to do instead. It never changes anything. */
import { around, containerFor } from "./containers.ts";
import { edgeId, findStep, makeEdge, portsOf, reachable } from "./graph.ts";
import { KEY_PATTERN } from "./keys.ts";
import { isContainer, MAX_DEPTH, nestingOf } from "./nesting.ts";
import { reparented } from "./reparent.ts";
import type { Document, Edge, StepKind } from "./types.ts";

export type Answer = { ok: true } | { ok: false; why: string };
export const yes: Answer = { ok: true };
export const no = (why: string): Answer => ({ ok: false, why });

type KindOf = (kind: string) => StepKind | undefined;
const called = (doc: Document, key: string): string => findStep(doc, key)?.name || key;

/** A connection stays within one container: says which border it would cross and what to connect instead. */
function sameContainer(doc: Document, from: string, to: string): Answer {
  const nesting = nestingOf(doc);
  const [mine, theirs] = [nesting.parent(from), nesting.parent(to)];
  if (mine === theirs) return yes;
  const [source, target] = [called(doc, from), called(doc, to)];
  if (theirs === from) return no(`"${target}" lies inside "${source}": a step without a way in starts it.`);
  if (mine === to) return no(`"${source}" lies inside "${target}": it ends when its last step has ended.`);
  const [inner, outer] = theirs && nesting.around(from).includes(theirs) ? [from, to] : [to, from];
  const container = nesting.parent(inner) ?? nesting.parent(outer) ?? "";
  const stays = nesting.parent(inner) ? outer : inner;
  return no(
    `A connection cannot cross the border of "${called(doc, container)}". ` +
      `Connect "${called(doc, container)}" itself, or move "${called(doc, stays)}" into it.`,
  );
}

export function mayConnect(doc: Document, from: string, port: string, to: string, kindOf: KindOf): Answer {
  const source = findStep(doc, from);
  const target = findStep(doc, to);
  if (!source || !target) return no("A connection leads from one step to another.");
  if (from === to) {
    return no(`"${called(doc, from)}" cannot lead to itself. Use a repeat to run it again.`);
  }
  const border = sameContainer(doc, from, to);
  if (!border.ok) return border;
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
  if (nestingOf(doc).around(from).includes(key))
    return no(`"${called(doc, key)}" holds that connection itself.`);
  if (key === from || key === to) return no(`"${called(doc, key)}" is already an end of that connection.`);
  const without = { ...doc, edges: doc.edges.filter((edge) => !(edge.from === from && edge.to === to)) };
  const after = reachable(without, key);
  if (after.has(from) || reachable(without, to).has(key)) {
    return no(`"${called(doc, key)}" would close a circle there. Use a repeat.`);
  }
  return yes;
}

const tooDeep = (doc: Document, key: string, parent: string | null): Answer => {
  const nesting = nestingOf(doc);
  const depth = (parent ? nesting.around(parent).length + 1 : 0) + nesting.height(key);
  if (depth <= MAX_DEPTH) return yes;
  return no(
    `Containers lie at most ${MAX_DEPTH} deep in each other. Put the inner ones into a sub-workflow.`,
  );
};

const between = (doc: Document, edge: Edge): Answer =>
  no(
    `That closes a circle: "${called(doc, edge.from)}" would lead to "${called(doc, edge.to)}" and back. ` +
      "Take the steps between them along.",
  );

/** May these steps go into the container (or out, to the level of `parent`)? */
export function mayPutInto(doc: Document, keys: ReadonlySet<string>, parent: string | null): Answer {
  const nesting = nestingOf(doc);
  const tops = nesting.tops(keys);
  if (!tops.length) return no("Select steps first.");
  if (parent) {
    const container = findStep(doc, parent);
    if (!container || !isContainer(container)) {
      return no(`"${called(doc, parent)}" holds no steps. For each, Repeat and Scope do.`);
    }
    const own = [parent, ...nesting.around(parent)].find((key) => keys.has(key));
    if (own) return no(`"${called(doc, own)}" cannot go into itself.`);
  }
  for (const key of tops) {
    const deep = tooDeep(doc, key, parent);
    if (!deep.ok) return deep;
  }
  const { closing } = reparented(doc, new Set(tops), parent);
  return closing ? between(doc, closing) : yes;
}

/** May a new container go around these steps? They lie side by side, and no path leaves them and comes back. */
export function mayWrap(doc: Document, keys: ReadonlySet<string>, kind: StepKind): Answer {
  const nesting = nestingOf(doc);
  const tops = nesting.tops(keys);
  const [first, ...others] = tops;
  if (first === undefined) return no("Select the steps that go in first.");
  const odd = others.find((key) => nesting.parent(key) !== nesting.parent(first));
  if (odd) {
    return no(
      `"${called(doc, first)}" and "${called(doc, odd)}" lie in different containers. Select steps of one.`,
    );
  }
  const parent = nesting.parent(first);
  const depth = Math.max(...tops.map(nesting.height)) + 1 + (parent ? nesting.around(parent).length + 1 : 0);
  if (depth > MAX_DEPTH) {
    return no(
      `Containers lie at most ${MAX_DEPTH} deep in each other. Put the inner ones into a sub-workflow.`,
    );
  }
  const container = containerFor(doc, keys, kind);
  const { closing, document } = around(doc, keys, container);
  return closing ? between(document, closing) : yes;
}
