/**
 * A delta says what an edit did, entity by entity: steps, edges, notes and regions by key, and the document's own fields.
 * Because it names entities and not positions in lists, it still applies after somebody else's change was merged in,
 * which is what lets undo reach across a merge.
 */
import { equal, isJsonObject } from "./equal.ts";
import { edgeId } from "./graph.ts";
import type { Document } from "./types.ts";

const LISTS = {
  steps: (item: Document["steps"][number]) => item.key,
  edges: edgeId,
  notes: (item: Document["notes"][number]) => item.key,
  regions: (item: Document["regions"][number]) => item.key,
} as const;
const FIELDS = ["name", "input", "output", "settings"] as const;

type ListName = keyof typeof LISTS;
type FieldName = (typeof FIELDS)[number];

export interface Change {
  id: string;
  before: unknown;
  after: unknown;
  /** Where the entity stood; undefined on the side where it did not exist. */
  beforeIndex: number | undefined;
  afterIndex: number | undefined;
}

export interface Delta {
  lists: Partial<Record<ListName, Change[]>>;
  fields: Partial<Record<FieldName, { before: unknown; after: unknown }>>;
}

type AnyItem = Document[ListName][number];

export const idOf = (list: ListName, item: unknown): string =>
  (LISTS[list] as (item: unknown) => string)(item);

const indexed = (list: ListName, doc: Document): Map<string, { item: AnyItem; index: number }> =>
  new Map(doc[list].map((item, index) => [idOf(list, item), { item, index }]));

function listChanges(list: ListName, before: Document, after: Document): Change[] {
  if (before[list] === after[list]) return [];
  const old = indexed(list, before);
  const fresh = indexed(list, after);
  const changes: Change[] = [];
  for (const id of new Set([...old.keys(), ...fresh.keys()])) {
    const was = old.get(id);
    const is = fresh.get(id);
    if (was && is && equal(was.item, is.item)) continue;
    changes.push({ id, before: was?.item, after: is?.item, beforeIndex: was?.index, afterIndex: is?.index });
  }
  return changes;
}

export function deltaBetween(before: Document, after: Document): Delta {
  const delta: Delta = { lists: {}, fields: {} };
  for (const list of Object.keys(LISTS) as ListName[]) {
    const changes = listChanges(list, before, after);
    if (changes.length) delta.lists[list] = changes;
  }
  for (const field of FIELDS) {
    if (!equal(before[field], after[field])) {
      delta.fields[field] = { before: before[field], after: after[field] };
    }
  }
  return delta;
}

export const isEmpty = (delta: Delta): boolean =>
  Object.keys(delta.lists).length === 0 && Object.keys(delta.fields).length === 0;

export const inverse = (delta: Delta): Delta => ({
  lists: Object.fromEntries(
    Object.entries(delta.lists).map(([list, changes]) => [
      list,
      changes.map(({ id, before, after, beforeIndex, afterIndex }) => ({
        id,
        before: after,
        after: before,
        beforeIndex: afterIndex,
        afterIndex: beforeIndex,
      })),
    ]),
  ),
  fields: Object.fromEntries(
    Object.entries(delta.fields).map(([field, { before, after }]) => [
      field,
      { before: after, after: before },
    ]),
  ),
});

/**
 * What `before` -> `after` did, done to `now`: only what the change touched is set, field by field.
 * So an undo after a merge takes back my edit and leaves the other person's in the same step alone.
 */
function rebased(before: unknown, after: unknown, now: unknown): unknown {
  if (equal(now, before) || !isJsonObject(before) || !isJsonObject(after) || !isJsonObject(now)) return after;
  const next: Record<string, unknown> = { ...now };
  for (const name of new Set([...Object.keys(before), ...Object.keys(after)])) {
    if (equal(before[name], after[name])) continue;
    const value = name in after ? rebased(before[name], after[name], now[name]) : undefined;
    if (value === undefined) delete next[name];
    else next[name] = value;
  }
  return next;
}

function applyList(list: ListName, items: unknown[], changes: Change[]): unknown[] {
  const byId = new Map(changes.map((change) => [change.id, change]));
  const present = new Set(items.map((item) => idOf(list, item)));
  const kept = items.flatMap((item) => {
    const change = byId.get(idOf(list, item));
    if (!change) return [item];
    return change.after === undefined ? [] : [rebased(change.before, change.after, item)];
  });
  const added = changes.filter((change) => change.after !== undefined && !present.has(change.id));
  added.sort((left, right) => (left.afterIndex ?? 0) - (right.afterIndex ?? 0));
  for (const change of added) kept.splice(change.afterIndex ?? kept.length, 0, change.after);
  return kept;
}

export function applyDelta(doc: Document, delta: Delta): Document {
  const next: Record<string, unknown> = { ...doc };
  for (const [list, changes] of Object.entries(delta.lists)) {
    next[list] = applyList(list as ListName, doc[list as ListName], changes);
  }
  for (const [field, { before, after }] of Object.entries(delta.fields)) {
    next[field] = rebased(before, after, next[field]);
  }
  return next as unknown as Document;
}

/** Two deltas one after the other as one: the first `before` and the last `after` of every entity. */
export function joinDeltas(first: Delta, second: Delta): Delta {
  const joined: Delta = { lists: { ...first.lists }, fields: { ...first.fields } };
  for (const [name, changes] of Object.entries(second.lists)) {
    const list = name as ListName;
    const byId = new Map((joined.lists[list] ?? []).map((change) => [change.id, change]));
    for (const change of changes) {
      const old = byId.get(change.id);
      const start = old ? { before: old.before, beforeIndex: old.beforeIndex } : {};
      byId.set(change.id, { ...change, ...start });
    }
    joined.lists[list] = [...byId.values()];
  }
  for (const [name, { before, after }] of Object.entries(second.fields)) {
    const field = name as FieldName;
    const old = joined.fields[field];
    joined.fields[field] = { before: old ? old.before : before, after };
  }
  return joined;
}
