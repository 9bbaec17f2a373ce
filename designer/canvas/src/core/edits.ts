/** Every edit of the drawing, as a command. Nothing here asks whether it may happen: that is what rules are for. */
import { type Command, command } from "./command.ts";
import { keepCorners } from "./frames.ts";
import { add, GRID, snap } from "./geometry.ts";
import { edgeId, findStep, incoming, makeEdge, outgoing, successPorts } from "./graph.ts";
import { freeKey, keyFollowsName, keyFrom, noteKeys, stepKeys } from "./keys.ts";
import { nestingOf } from "./nesting.ts";
import { withRenamedKey } from "./references.ts";
import { reparented } from "./reparent.ts";
import { type Layout, withRoom } from "./room.ts";
import type { Document, Edge, Join, JsonObject, Note, Point, Step, StepKind } from "./types.ts";

export const NOTE_PREFIX = "note:";
export const noteId = (key: string): string => NOTE_PREFIX + key;
export const isNoteId = (id: string): boolean => id.startsWith(NOTE_PREFIX);

const some = (count: number, one: string): string => (count === 1 ? one : `${count} ${one}s`);

const mapStep = (doc: Document, key: string, change: (step: Step) => Step): Document => ({
  ...doc,
  steps: doc.steps.map((step) => (step.key === key ? change(step) : step)),
});

/** A default config: what the kind's schema names as required enum or default is left to the server. */
export const newStep = (doc: Document, kind: StepKind, at: Point): Step => ({
  key: freeKey(keyFrom(kind.name), stepKeys(doc)),
  name: kind.name,
  kind: kind.kind,
  at: snap(at),
  config: startConfig(kind),
});

const titled = (key: string): string => key.charAt(0).toUpperCase() + key.slice(1).replaceAll("_", " ");

/** A choice without cases or a form without outcomes has no port to draw from, so both start with some. */
function startConfig(kind: StepKind): JsonObject {
  if (kind.ports_from === "cases") return { cases: [{ port: "yes", when: { $: "" } }] };
  if (kind.ports_from === "outcomes")
    return { outcomes: successPorts(kind.ports).map((key) => ({ key, label: titled(key) })) };
  return { ...(BODIES[kind.kind] ?? {}) };
}

/** What a container cannot do without, ready to be filled in. */
const BODIES: Record<string, JsonObject> = {
  for_each: { items: { $: "" } },
  repeat: { until: { $: "" }, turns: 10 },
  scope: { on_failure: "fail" },
};

export interface Wire {
  /** The other end: a source with its port (the new step comes after it) or a target (it comes before it). */
  from?: { key: string; port: string };
  to?: string;
  /** The edge that the new step replaces by two. */
  instead?: Edge;
}

/** Adds a step, wired as asked, in one undo step. */
export function addStep(
  doc: Document,
  step: Step,
  wire: Wire = {},
  firstPort = "out",
  layout?: Layout,
): Command | null {
  let edges = doc.edges;
  if (wire.instead) {
    const old = edgeId(wire.instead);
    edges = edges.filter((edge) => edgeId(edge) !== old);
  }
  if (wire.from) edges = [...edges, makeEdge(wire.from.key, wire.from.port, step.key)];
  if (wire.to) edges = [...edges, makeEdge(step.key, firstPort, wire.to)];
  const added = { ...doc, steps: [...doc.steps, step], edges };
  const after = layout ? withRoom(doc, added, layout) : added;
  return command(`Add ${step.name}`, doc, after, { select: [step.key] });
}

/** Puts an existing step into an edge. */
export function insertIntoEdge(doc: Document, key: string, edge: Edge, firstPort: string): Command | null {
  const parent = nestingOf(doc).parent(edge.from);
  const old = edgeId(edge);
  const made = [makeEdge(edge.from, edge.port ?? "out", key), makeEdge(key, firstPort, edge.to)];
  const have = new Set(doc.edges.map(edgeId));
  const edges = doc.edges.filter((item) => edgeId(item) !== old);
  edges.push(...made.filter((item) => !have.has(edgeId(item))));
  // The drag that brought the step here is the same intention, so both become one undo step.
  const { document } = reparented({ ...doc, edges }, new Set([key]), parent);
  return command("Insert into connection", doc, document, { select: [key], intent: "drag" });
}

export const connect = (doc: Document, from: string, port: string, to: string): Command | null =>
  command("Connect", doc, { ...doc, edges: [...doc.edges, makeEdge(from, port, to)] });

export const disconnect = (doc: Document, ids: ReadonlySet<string>): Command | null =>
  command(some(ids.size, "Remove connection"), doc, {
    ...doc,
    edges: doc.edges.filter((edge) => !ids.has(edgeId(edge))),
  });

/** Moves one end of an edge to another step or port. */
export function reconnect(doc: Document, edge: Edge, next: Edge): Command | null {
  const old = edgeId(edge);
  const edges = doc.edges.map((item) => (edgeId(item) === old ? next : item));
  return command("Reconnect", doc, { ...doc, edges });
}

/** Places of steps and notes by id, as one undo step. What lies in a container is named by the caller as well. */
export function place(doc: Document, places: ReadonlyMap<string, Point>, label = "Move", intent?: string) {
  const after = placed(doc, places);
  return command(label, doc, after, intent === undefined ? {} : { intent });
}

export function placed(doc: Document, places: ReadonlyMap<string, Point>): Document {
  const steps = doc.steps.map((step) => {
    const at = places.get(step.key);
    return at ? { ...step, at: [...at] as Point } : step;
  });
  const notes = doc.notes.map((note) => {
    const at = places.get(noteId(note.key));
    return at ? { ...note, at: [...at] as Point } : note;
  });
  return { ...doc, steps, notes };
}

export function nudge(doc: Document, ids: ReadonlySet<string>, by: Point): Command | null {
  const places = new Map<string, Point>();
  const whole = nestingOf(doc).whole(ids);
  for (const step of doc.steps) if (whole.has(step.key)) places.set(step.key, add(step.at, by));
  for (const note of doc.notes) if (ids.has(noteId(note.key))) places.set(noteId(note.key), add(note.at, by));
  return place(doc, places, "Nudge", `nudge:${[...ids].sort().join()}`);
}

function healedEdges(doc: Document, key: string): Edge[] {
  const ins = incoming(doc, key);
  const outs = outgoing(doc, key).filter((edge) => edge.port !== "error" && edge.port !== "timeout");
  return ins.flatMap((before) => outs.map((after) => makeEdge(before.from, before.port ?? "out", after.to)));
}

function withoutStep(doc: Document, key: string, heal: boolean): Document {
  const bridges = heal ? healedEdges(doc, key) : [];
  const kept = doc.edges.filter((edge) => edge.from !== key && edge.to !== key);
  const have = new Set(kept.map(edgeId));
  const regions = doc.regions.map((region) => ({
    ...region,
    steps: region.steps.filter((item) => item !== key),
  }));
  return {
    ...doc,
    regions,
    steps: doc.steps.filter((step) => step.key !== key),
    edges: [...kept, ...bridges.filter((edge) => !have.has(edgeId(edge)))],
  };
}

/** Removes steps with all they hold, and notes; with `heal` what led to a step leads on to what followed it. */
export function remove(doc: Document, ids: ReadonlySet<string>, heal = false): Command | null {
  let after: Document = { ...doc, notes: doc.notes.filter((note) => !ids.has(noteId(note.key))) };
  const whole = nestingOf(doc).whole(ids);
  for (const step of doc.steps) if (whole.has(step.key)) after = withoutStep(after, step.key, heal);
  const label = heal ? "Delete and heal" : some(ids.size, "Delete step");
  return command(label, doc, keepCorners(doc, after), { select: [] });
}

/** Disables every one of the steps, or enables them when all were disabled. */
export function toggleDisabled(doc: Document, keys: ReadonlySet<string>): Command | null {
  const chosen = doc.steps.filter((step) => keys.has(step.key));
  const disable = chosen.some((step) => !step.disabled);
  const steps = doc.steps.map((step) => {
    if (!keys.has(step.key)) return step;
    const { disabled: _, ...rest } = step;
    return disable ? { ...rest, disabled: true } : rest;
  });
  return command(disable ? "Disable" : "Enable", doc, { ...doc, steps });
}

/** Changes some fields of a step; `undefined` removes the field. */
export function editStep(doc: Document, key: string, fields: Partial<Step>, intent?: string): Command | null {
  const after = mapStep(doc, key, (step) => {
    const next: Record<string, unknown> = { ...step, ...fields };
    for (const [name, value] of Object.entries(next)) if (value === undefined) delete next[name];
    return next as unknown as Step;
  });
  return command("Edit step", doc, after, intent === undefined ? {} : { intent });
}

/** Renames a step; its key follows when it was made from the old name, in every expression too. */
export function rename(doc: Document, key: string, name: string): Command | null {
  const step = findStep(doc, key);
  if (!step || step.name === name) return null;
  const others = new Set([...stepKeys(doc)].filter((other) => other !== key));
  const nextKey = keyFollowsName(key, step.name) ? freeKey(keyFrom(name), others) : key;
  const named = mapStep(doc, key, (item) => ({ ...item, name }));
  const after = nextKey === key ? named : withRenamedKey(named, key, nextKey);
  return command("Rename", doc, after, { select: [nextKey] });
}

export const renameKey = (doc: Document, key: string, wanted: string): Command | null =>
  command("Change key", doc, withRenamedKey(doc, key, wanted), { select: [wanted] });

export const editJoin = (doc: Document, key: string, join: Join | undefined): Command | null =>
  editStep(doc, key, { join } as Partial<Step>, `join:${key}`);

export function addNote(doc: Document, at: Point, text = ""): Command | null {
  const note: Note = { key: freeKey("note", noteKeys(doc)), at: snap(at), size: [240, 96], text };
  return command("Add note", doc, { ...doc, notes: [...doc.notes, note] }, { select: [noteId(note.key)] });
}

export function editNote(doc: Document, key: string, fields: Partial<Note>): Command | null {
  const notes = doc.notes.map((note) => (note.key === key ? { ...note, ...fields } : note));
  return command("Edit note", doc, { ...doc, notes }, { intent: `note:${key}` });
}

type RootFields = Partial<Pick<Document, "name" | "input" | "output" | "settings">>;

export const editWorkflow = (doc: Document, fields: RootFields, intent?: string): Command | null =>
  command("Edit workflow", doc, { ...doc, ...fields }, intent === undefined ? {} : { intent });

export const replaceAll = (doc: Document, next: Document, label: string): Command | null =>
  command(label, doc, next, { select: [] });

export const PASTE_SHIFT: Point = [GRID * 4, GRID * 4];
