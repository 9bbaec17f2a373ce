/** The clipboard holds steps as JSON text, so they can go through another tab, a ticket or a chat and come back. */
import { type Command, command } from "./command.ts";
import { noteId } from "./edits.ts";
import { isJsonObject } from "./equal.ts";
import { add, minus, snap } from "./geometry.ts";
import { freeKey, keyFrom, noteKeys, stepKeys } from "./keys.ts";
import { nestingOf } from "./nesting.ts";
import { renamedValue } from "./references.ts";
import { type Layout, withRoom } from "./room.ts";
import { type Document, emptyDocument, type Json, normalise, type Point, type Step } from "./types.ts";

type Parsed = { ok: true; document: Document } | { ok: false; why: string };

/** The chosen steps with all they hold, chosen notes, and the edges between them, as a document of their own. */
export function copyOf(doc: Document, ids: ReadonlySet<string>): Document {
  const whole = nestingOf(doc).whole(ids);
  return {
    ...emptyDocument(doc.name),
    steps: doc.steps.filter((step) => whole.has(step.key)).map((step) => loose(step, whole)),
    edges: doc.edges.filter((edge) => whole.has(edge.from) && whole.has(edge.to)),
    notes: doc.notes.filter((note) => ids.has(noteId(note.key))),
  };
}

/** A step whose container does not come along has none. */
function loose(step: Step, together: ReadonlySet<string>): Step {
  if (!step.parent || together.has(step.parent)) return step;
  const { parent: _, ...rest } = step;
  return rest;
}

export const toText = (doc: Document): string => JSON.stringify(doc, null, 1);

const looksLikeStep = (item: Json): boolean =>
  isJsonObject(item) && typeof item.key === "string" && typeof item.kind === "string";

/** Reads a document (or a bare list of steps) from text; says what is wrong otherwise. */
export function fromText(text: string): Parsed {
  let raw: Json;
  try {
    raw = JSON.parse(text) as Json;
  } catch (error) {
    return { ok: false, why: `This is not JSON: ${(error as Error).message}` };
  }
  const found = Array.isArray(raw) ? { steps: raw } : raw;
  if (!isJsonObject(found)) return { ok: false, why: "This JSON is not a Branchline document." };
  if (found.format !== undefined && found.format !== "branchline/1") {
    return { ok: false, why: `The format is "${String(found.format)}"; this editor reads "branchline/1".` };
  }
  const steps = found.steps ?? [];
  if (!Array.isArray(steps) || !steps.every(looksLikeStep)) {
    return { ok: false, why: 'The JSON needs "steps": a list of objects with "key" and "kind".' };
  }
  const named = steps.map((step) => ({ name: (step as { key: string }).key, ...(step as object) }));
  return { ok: true, document: normalise({ ...(found as Partial<Document>), steps: named as Step[] }) };
}

const renamedAll = (step: Step, keys: ReadonlyMap<string, string>): Step => {
  let config: Json = step.config;
  let undo: Json = step.undo?.config ?? null;
  for (const [from, to] of keys) {
    if (from === to) continue;
    config = renamedValue(config, from, to);
    undo = renamedValue(undo, from, to);
  }
  const next: Step = { ...step, key: keys.get(step.key) ?? step.key, config: config as Step["config"] };
  if (step.undo) next.undo = { ...step.undo, config: undo as Step["config"] };
  if (step.parent) next.parent = keys.get(step.parent) ?? step.parent;
  return next;
};

const keep = (keys: ReadonlyMap<string, string>, key: string): string => keys.get(key) ?? key;

function freshKeys(doc: Document, pasted: Document): Map<string, string> {
  const taken = stepKeys(doc);
  const keys = new Map<string, string>();
  for (const step of pasted.steps) {
    const key = freeKey(taken.has(step.key) ? step.key.replace(/_\d+$/, "") : keyFrom(step.key), taken);
    taken.add(key);
    keys.set(step.key, key);
  }
  return keys;
}

/**
 * Adds the pasted steps under free keys, moved so that their top left corner is at `at` (or by `shift`),
 * into a container where `parent` names one. With `layout` a frame that grows by it makes room.
 */
export function paste(
  doc: Document,
  pasted: Document,
  to: { at: Point } | { shift: Point },
  parent: string | null = null,
  layout?: Layout,
): Command | null {
  const keys = freshKeys(doc, pasted);
  const corners = [...pasted.steps.map((step) => step.at), ...pasted.notes.map((note) => note.at)];
  if (!corners.length) return null;
  const corner: Point = [Math.min(...corners.map(([x]) => x)), Math.min(...corners.map(([, y]) => y))];
  const shift = snap("shift" in to ? to.shift : minus(to.at, corner));
  const own = new Set(keys.keys());
  const steps = pasted.steps.map((raw) => {
    const step = { ...renamedAll(loose(raw, own), keys), at: add(raw.at, shift) };
    return step.parent || !parent ? step : { ...step, parent };
  });
  const taken = noteKeys(doc);
  const notes = pasted.notes.map((note) => {
    const key = freeKey(note.key, taken);
    taken.add(key);
    return { ...note, key, at: add(note.at, shift) };
  });
  const edges = pasted.edges.map((edge) => ({
    ...edge,
    from: keep(keys, edge.from),
    to: keep(keys, edge.to),
  }));
  const added = {
    ...doc,
    steps: [...doc.steps, ...steps],
    edges: [...doc.edges, ...edges],
    notes: [...doc.notes, ...notes],
  };
  const after = layout ? withRoom(doc, added, layout) : added;
  const tops = nestingOf(after).tops(new Set(steps.map((step) => step.key)));
  const select = [...tops, ...notes.map((note) => noteId(note.key))];
  return command("Paste", doc, after, { select });
}
