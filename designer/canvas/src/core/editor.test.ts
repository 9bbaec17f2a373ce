import { describe, expect, it } from "vitest";
import { copyOf, paste } from "./clipboard.ts";
import type { Command } from "./command.ts";
import { moveTo, putInto, takeOut, unwrap, wrap } from "./containers.ts";
import { Editor } from "./editor.ts";
import {
  addNote,
  addStep,
  connect,
  disconnect,
  editStep,
  editWorkflow,
  insertIntoEdge,
  newStep,
  noteId,
  nudge,
  remove,
  rename,
  toggleDisabled,
} from "./edits.ts";
import { edgeId, reachable } from "./graph.ts";
import { isContainer, MAX_DEPTH, nestingOf } from "./nesting.ts";
import { addRegion } from "./regions.ts";
import { mayConnect, mayInsert, mayPutInto, mayWrap } from "./rules.ts";
import { KINDS, kindOf, LAYOUT, nested, random, shop } from "./samples.ts";
import type { Document, StepKind } from "./types.ts";

type Next = () => number;
type Move = (doc: Document, next: Next) => Command | null;

const pick = <T>(items: readonly T[], next: Next): T | undefined => items[Math.floor(next() * items.length)];
const keyOf = (doc: Document, next: Next): string => pick(doc.steps, next)?.key ?? "none";

/** Everything a person can do to a drawing, chosen by chance. */
const MOVES: Move[] = [
  (doc, next) => {
    const kind = pick(Object.values(KINDS), next) as StepKind;
    return addStep(doc, newStep(doc, kind, [next() * 900, next() * 900]));
  },
  (doc, next) => {
    const [from, to] = [keyOf(doc, next), keyOf(doc, next)];
    return mayConnect(doc, from, "out", to, kindOf).ok ? connect(doc, from, "out", to) : null;
  },
  (doc, next) => remove(doc, new Set([keyOf(doc, next)]), next() < 0.5),
  (doc, next) => rename(doc, keyOf(doc, next), `Name ${Math.floor(next() * 9)}`),
  (doc, next) => toggleDisabled(doc, new Set([keyOf(doc, next), keyOf(doc, next)])),
  (doc, next) => nudge(doc, new Set([keyOf(doc, next), noteId("note")]), [8, -8]),
  (doc, next) =>
    editStep(doc, keyOf(doc, next), { config: { value: { $: `input.x${Math.floor(next() * 5)}` } } }),
  (doc, next) => {
    const edge = pick(doc.edges, next);
    return edge ? disconnect(doc, new Set([edgeId(edge)])) : null;
  },
  (doc, next) => {
    const edge = pick(doc.edges, next);
    const key = keyOf(doc, next);
    return edge && mayInsert(doc, key, edge.from, edge.to).ok ? insertIntoEdge(doc, key, edge, "out") : null;
  },
  (doc, next) => {
    const keys = new Set([keyOf(doc, next), keyOf(doc, next)]);
    const kind = pick([KINDS.scope, KINDS.for_each, KINDS.repeat], next) as StepKind;
    return mayWrap(doc, keys, kind).ok ? wrap(doc, keys, kind, LAYOUT) : null;
  },
  (doc, next) => {
    const [keys, into] = [new Set([keyOf(doc, next), keyOf(doc, next)]), keyOf(doc, next)];
    return mayPutInto(doc, keys, into).ok ? putInto(doc, keys, into, LAYOUT) : null;
  },
  (doc, next) => {
    const key = keyOf(doc, next);
    const parent = nestingOf(doc).parent(key);
    const out = parent ? nestingOf(doc).parent(parent) : null;
    return parent && mayPutInto(doc, new Set([key]), out).ok ? takeOut(doc, new Set([key]), LAYOUT) : null;
  },
  (doc, next) => {
    const container = pick(doc.steps.filter(isContainer), next);
    return container ? unwrap(doc, container.key, LAYOUT) : null;
  },
  (doc, next) =>
    moveTo(doc, new Map([[keyOf(doc, next), [next() * 900, next() * 900]]]), LAYOUT, next() < 0.5),
  (doc, next) => paste(doc, copyOf(doc, new Set([keyOf(doc, next)])), { shift: [32, 32] }),
  (doc, next) => addRegion(doc, new Set([keyOf(doc, next), keyOf(doc, next)]), "parallel"),
  (doc, next) => addNote(doc, [next() * 300, 0], "note"),
  (doc, next) => editWorkflow(doc, { name: `Flow ${Math.floor(next() * 9)}` }),
];

describe("every edit takes itself back", () => {
  it.each(Array.from({ length: 40 }, (_, seed) => seed))("seed %i", (seed) => {
    const next = random(seed + 1);
    let doc = seed % 2 ? nested() : shop();
    for (let turn = 0; turn < 60; turn += 1) {
      const command = pick(MOVES, next)?.(doc, next);
      if (!command) continue;
      const after = command.apply(doc);
      expect(command.revert(after)).toEqual(doc);
      doc = after;
    }
    const keys = new Set(doc.steps.map((step) => step.key));
    expect(keys.size).toBe(doc.steps.length);
    expect(doc.edges.every((edge) => keys.has(edge.from) && keys.has(edge.to))).toBe(true);
    expect(new Set(doc.edges.map(edgeId)).size).toBe(doc.edges.length);
    const nesting = nestingOf(doc);
    for (const edge of doc.edges) expect(nesting.parent(edge.from)).toBe(nesting.parent(edge.to));
    for (const step of doc.steps) {
      expect(nesting.parent(step.key)).toBe(step.parent ?? null);
      expect(nesting.around(step.key).length).toBeLessThanOrEqual(MAX_DEPTH);
      expect(reachable(doc, step.key).has(step.key)).toBe(false);
    }
  });

  it.each([3, 17, 99])("undoes to the start and redoes to the end, seed %i", (seed) => {
    const next = random(seed);
    const start = shop();
    const editor = new Editor(start);
    for (let turn = 0; turn < 80; turn += 1) editor.run((doc) => pick(MOVES, next)?.(doc, next) ?? null);
    const end = editor.document;
    let steps = 0;
    while (editor.undo() !== null) steps += 1;
    expect(editor.document).toEqual(start);
    for (let step = 0; step < steps; step += 1) editor.redo();
    expect(editor.document).toEqual(end);
  });
});

describe("editor", () => {
  const typing = (editor: Editor, text: string): void => {
    editor.run((doc) => editStep(doc, "reserve", { config: { value: text } }, "config:reserve"));
  };

  it("joins the keystrokes of one field into one undo step", () => {
    const editor = new Editor(shop());
    for (const text of ["a", "ab", "abc"]) typing(editor, text);
    expect(editor.get().undo).toHaveLength(1);
    editor.undo();
    expect(editor.document).toEqual(shop());
  });

  it("starts a new undo step after the field was left", () => {
    const editor = new Editor(shop());
    typing(editor, "a");
    editor.seal();
    typing(editor, "ab");
    expect(editor.get().undo).toHaveLength(2);
  });

  it("forgets what could be redone once something new is done", () => {
    const editor = new Editor(shop());
    typing(editor, "a");
    editor.undo();
    editor.run((doc) => toggleDisabled(doc, new Set(["charge"])));
    expect(editor.redo()).toBeNull();
  });

  it("takes back only its own field when somebody else changed the same step meanwhile", () => {
    const editor = new Editor(shop());
    editor.run((doc) => editStep(doc, "charge", { config: { url: "https://mine", body: "steps.reserve" } }));
    const theirs = editor.document.steps.map((step) =>
      step.key === "charge" ? { ...step, name: "Take money" } : step,
    );
    editor.adopt({ ...editor.document, steps: theirs });
    editor.undo();
    const charge = editor.document.steps.find((step) => step.key === "charge");
    expect(charge?.name).toBe("Take money");
    expect(charge?.config.url).toEqual({ $: "steps.reserve.url" });
  });

  it("changes nothing when it is read-only", () => {
    const editor = new Editor(shop(), true);
    expect(editor.run((doc) => remove(doc, new Set(["charge"])))).toBe(false);
    expect(editor.document).toEqual(shop());
  });

  it("drops a selection that no longer exists", () => {
    const editor = new Editor(shop());
    editor.select(["charge", "reserve"]);
    editor.run((doc) => remove(doc, new Set(["charge"])));
    expect([...editor.get().selected]).toEqual([]);
  });
});
