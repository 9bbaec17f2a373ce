/** Three-way merge of two drawings, entity by entity. Where both sides changed one thing, mine stands and it is reported. */
import { applyDelta, type Change, type Delta, deltaBetween } from "./delta.ts";
import { equal, isJsonObject } from "./equal.ts";
import type { Document, Step } from "./types.ts";

export interface Clash {
  /** What both changed, in words: `step "charge"`. */
  what: string;
  step: string | null;
  mine: unknown;
  theirs: unknown;
}

export interface Merged {
  document: Document;
  /** What came from the other person, in words, with the step to look at. */
  arrived: { what: string; step: string | null }[];
  clashes: Clash[];
}

const NOUN = { steps: "step", edges: "connection", notes: "note", regions: "region" } as const;
type ListName = keyof typeof NOUN;

/** Field by field merge of one entity; null when one field was changed by both in different ways. */
function mergeEntity(base: unknown, mine: unknown, theirs: unknown): unknown {
  if (!isJsonObject(base) || !isJsonObject(mine) || !isJsonObject(theirs)) return null;
  const merged: Record<string, unknown> = {};
  for (const name of new Set([...Object.keys(base), ...Object.keys(mine), ...Object.keys(theirs)])) {
    const mineChanged = !equal(base[name], mine[name]);
    const theirsChanged = !equal(base[name], theirs[name]);
    if (mineChanged && theirsChanged && !equal(mine[name], theirs[name])) {
      const deeper = mergeEntity(base[name], mine[name], theirs[name]);
      if (deeper === null) return null;
      merged[name] = deeper;
    } else {
      merged[name] = mineChanged ? mine[name] : theirs[name];
    }
    if (merged[name] === undefined) delete merged[name];
  }
  return merged;
}

const describe = (list: ListName, change: Change): string => {
  const verb = change.before === undefined ? "added" : change.after === undefined ? "removed" : "changed";
  return `${NOUN[list]} ${JSON.stringify(change.id)} ${verb}`;
};

function mergeList(list: ListName, theirs: Change[], mine: Change[], out: Merged): Change[] {
  const mineById = new Map(mine.map((change) => [change.id, change]));
  return theirs.flatMap((change) => {
    const own = mineById.get(change.id);
    const step = list === "steps" ? change.id : null;
    if (!own) {
      out.arrived.push({ what: describe(list, change), step });
      return [change];
    }
    if (equal(own.after, change.after)) return [];
    const both = mergeEntity(change.before, own.after, change.after);
    if (both !== null) {
      out.arrived.push({ what: describe(list, change), step });
      return [{ ...change, after: both, afterIndex: own.afterIndex }];
    }
    // A removal never wins over a change: the changed entity is what somebody still wants.
    const result = own.after === undefined ? change.after : own.after;
    out.clashes.push({ what: describe(list, change), step, mine: own.after, theirs: change.after });
    return [{ ...change, after: result }];
  });
}

function mergeFields(base: Document, mine: Document, delta: Delta, out: Merged): Delta["fields"] {
  const fields: Delta["fields"] = {};
  for (const [name, change] of Object.entries(delta.fields)) {
    const field = name as keyof Delta["fields"];
    if (equal(base[field], mine[field])) {
      fields[field] = change;
      out.arrived.push({ what: `${field} changed`, step: null });
    } else if (!equal(mine[field], change.after)) {
      const both = mergeEntity(base[field], mine[field], change.after);
      if (both !== null) {
        fields[field] = { before: mine[field], after: both };
        out.arrived.push({ what: `${field} changed`, step: null });
      } else
        out.clashes.push({ what: `${field} changed`, step: null, mine: mine[field], theirs: change.after });
    }
  }
  return fields;
}

/** Edges whose step is gone after the merge cannot stay. */
const withoutLooseEdges = (doc: Document): Document => {
  const keys = new Set(doc.steps.map((step) => step.key));
  const edges = doc.edges.filter((edge) => keys.has(edge.from) && keys.has(edge.to));
  return edges.length === doc.edges.length ? doc : { ...doc, edges };
};

/** A step that one person changed while the other removed its container stays, outside. */
function withoutLostParents(doc: Document): Document {
  const keys = new Set(doc.steps.map((step) => step.key));
  const lost = (step: Step): boolean => Boolean(step.parent) && !keys.has(step.parent ?? "");
  if (!doc.steps.some(lost)) return doc;
  const steps = doc.steps.map((step) => {
    if (!lost(step)) return step;
    const { parent: _, ...rest } = step;
    return rest;
  });
  return { ...doc, steps };
}

export function merge(base: Document, mine: Document, theirs: Document): Merged {
  const out: Merged = { document: mine, arrived: [], clashes: [] };
  const delta = deltaBetween(base, theirs);
  const own = deltaBetween(base, mine);
  const lists: Delta["lists"] = {};
  for (const [name, changes] of Object.entries(delta.lists)) {
    const list = name as ListName;
    const kept = mergeList(list, changes, own.lists[list] ?? [], out);
    if (kept.length) lists[list] = kept;
  }
  const fields = mergeFields(base, mine, delta, out);
  out.document = withoutLostParents(withoutLooseEdges(applyDelta(mine, { lists, fields })));
  return out;
}
