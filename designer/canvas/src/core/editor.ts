/** The draft in the hands of one person: document, selection, and undo without limit. */
import { type Command, joined } from "./command.ts";
import { isNoteId, noteId } from "./edits.ts";
import { edgeId } from "./graph.ts";
import { isRegionId, regionId } from "./regions.ts";
import { Store } from "./store.ts";
import type { Document } from "./types.ts";

export interface EditorState {
  document: Document;
  /** Selected steps by key, notes by `note:key`, a region by `region:key`. */
  selected: ReadonlySet<string>;
  edges: ReadonlySet<string>;
  undo: readonly Command[];
  redo: readonly Command[];
}

const NONE: ReadonlySet<string> = new Set();
export type Maker = (doc: Document) => Command | null;

export class Editor extends Store<EditorState> {
  readonly readOnly: boolean;
  /** False after `seal`: the next command starts a new undo step even when its intent is the same. */
  #open = false;

  constructor(document: Document, readOnly = false) {
    super({ document, selected: NONE, edges: NONE, undo: [], redo: [] });
    this.readOnly = readOnly;
  }

  get document(): Document {
    return this.get().document;
  }

  /** Makes a command from the present document and runs it. Returns false when there was nothing to do. */
  run(make: Maker): boolean {
    const { document, undo } = this.get();
    const made = this.readOnly ? null : make(document);
    if (!made) return false;
    const last = undo.at(-1);
    const same = this.#open && last !== undefined && made.intent !== undefined && last.intent === made.intent;
    const stack = same ? [...undo.slice(0, -1), joined(last, made)] : [...undo, made];
    this.#open = true;
    this.#show(made.apply(document), { undo: stack, redo: [] }, made.select);
    return true;
  }

  /** Ends an intention: called when a field loses focus or the pointer is released. */
  seal(): void {
    this.#open = false;
  }

  undo(): string | null {
    const { document, undo, redo } = this.get();
    const last = undo.at(-1);
    if (!last || this.readOnly) return null;
    this.seal();
    this.#show(last.revert(document), { undo: undo.slice(0, -1), redo: [...redo, last] });
    return last.label;
  }

  redo(): string | null {
    const { document, undo, redo } = this.get();
    const next = redo.at(-1);
    if (!next || this.readOnly) return null;
    this.seal();
    this.#show(next.apply(document), { undo: [...undo, next], redo: redo.slice(0, -1) }, next.select);
    return next.label;
  }

  /** Takes a document that came from elsewhere (a merge); undo keeps working because deltas name entities. */
  adopt(document: Document): void {
    this.seal();
    this.#show(document, {});
  }

  select(ids: Iterable<string>, edges: Iterable<string> = []): void {
    const selected = new Set(ids);
    const chosen = new Set(edges);
    const now = this.get();
    if (sameSet(selected, now.selected) && sameSet(chosen, now.edges)) return;
    this.seal();
    this.update({ selected, edges: chosen });
  }

  #show(document: Document, stacks: Partial<EditorState>, select?: string[]): void {
    const wanted = select ? new Set(select) : this.get().selected;
    const ids = new Set([
      ...document.steps.map((step) => step.key),
      ...document.notes.map((note) => noteId(note.key)),
      ...document.regions.map((region) => regionId(region.key)),
    ]);
    const edges = new Set(document.edges.map(edgeId));
    this.update({
      ...stacks,
      document,
      selected: kept(wanted, ids),
      edges: select ? NONE : kept(this.get().edges, edges),
    });
  }
}

const kept = (wanted: ReadonlySet<string>, there: ReadonlySet<string>): ReadonlySet<string> => {
  const left = [...wanted].filter((id) => there.has(id));
  return left.length === wanted.size ? wanted : new Set(left);
};

export const sameSet = (left: ReadonlySet<string>, right: ReadonlySet<string>): boolean =>
  left.size === right.size && [...left].every((item) => right.has(item));

export const selectedSteps = (state: EditorState): string[] =>
  [...state.selected].filter((id) => !isNoteId(id) && !isRegionId(id));
