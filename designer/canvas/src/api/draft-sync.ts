/** Saves the draft by itself, one request at a time, and merges when somebody else was faster. */
import type { Editor } from "../core/editor.ts";
import { type Merged, merge } from "../core/merge.ts";
import { Store } from "../core/store.ts";
import { type Document, normalise, type Problem } from "../core/types.ts";
import { ApiError, Unreachable } from "./http.ts";
import type { LocalCopy } from "./local-copy.ts";
import type { Draft, Saved } from "./workflow.ts";

const SAVE_AFTER = 600;
const RETRY_AFTER = 4_000;
/** The fetch standard allows 64 kB for requests that outlive their page. */
const KEEPALIVE_LIMIT = 60_000;

export interface SyncState {
  phase: "saved" | "unsaved" | "saving" | "offline" | "refused";
  savedAt: number | null;
  message: string;
  /** What other people's saves brought in, newest last; cleared when the person has seen it. */
  merged: (Merged & { by: string })[];
}

interface Saver {
  save(document: Document, revision: number, keepalive?: boolean): Promise<Saved>;
}

interface Stale {
  revision: number;
  document: Partial<Document>;
  saved_by: string | null;
}

export class DraftSync extends Store<SyncState> {
  revision: number;
  #base: Document;
  #seen: Document | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #busy: Promise<void> | null = null;
  readonly #editor: Editor;
  readonly #saver: Saver;
  readonly #copy: LocalCopy;
  onProblems: (problems: Problem[], document: Document) => void = () => {};

  constructor(editor: Editor, draft: Draft, saver: Saver, copy: LocalCopy) {
    const savedAt = draft.saved_at ? Date.parse(draft.saved_at) : null;
    super({ phase: "saved", savedAt, message: "", merged: [] });
    this.revision = draft.revision;
    this.#base = editor.document;
    this.#editor = editor;
    this.#saver = saver;
    this.#copy = copy;
    this.#recover();
    editor.subscribe(() => this.#changed());
  }

  get dirty(): boolean {
    return this.#editor.document !== this.#base;
  }

  /** Work of an earlier visit that never reached the server comes back, merged with what is there now. */
  #recover(): void {
    const left = this.#copy.read();
    if (!left) return;
    const merged = merge(normalise(left.base), normalise(left.mine), this.#base);
    this.#editor.adopt(merged.document);
    this.update({ phase: "unsaved", message: "Unsaved work of your last visit was brought back." });
    this.#schedule(0);
  }

  #changed(): void {
    // Selections wake subscribers too; only a new document is worth a copy and a save.
    if (!this.dirty || this.#editor.document === this.#seen) return;
    this.#seen = this.#editor.document;
    this.#copy.write({ revision: this.revision, base: this.#base, mine: this.#editor.document });
    if (this.get().phase === "saved") this.update({ phase: "unsaved", message: "" });
    this.#schedule(SAVE_AFTER);
  }

  #schedule(after: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.flush(), after);
  }

  /** Saves now what is not saved; resolves when the server has everything or said no. */
  async flush(): Promise<boolean> {
    clearTimeout(this.#timer);
    while (this.#busy) await this.#busy;
    if (!this.dirty) return true;
    this.#busy = this.#save();
    await this.#busy;
    return !this.dirty && this.get().phase === "saved";
  }

  /** The page goes away: send without waiting; what is too large stays in the local copy. */
  leave(): void {
    if (!this.dirty || this.#busy) return;
    const { document } = this.#editor;
    if (new Blob([JSON.stringify(document)]).size > KEEPALIVE_LIMIT) return;
    this.#busy = this.#saver
      .save(document, this.revision, true)
      .then(
        (saved) => this.#accepted(saved, document),
        () => undefined,
      )
      .finally(() => {
        this.#busy = null;
      });
  }

  async #save(): Promise<void> {
    const { document } = this.#editor;
    this.update({ phase: "saving" });
    try {
      this.#accepted(await this.#saver.save(document, this.revision), document);
    } catch (error) {
      this.#failed(error, document);
    } finally {
      this.#busy = null;
    }
  }

  #accepted(saved: Saved, document: Document): void {
    this.revision = saved.revision;
    this.#base = document;
    const phase = this.dirty ? "unsaved" : "saved";
    if (!this.dirty) this.#copy.clear();
    this.update({ phase, savedAt: Date.now(), message: "" });
    if (!this.dirty) this.onProblems(saved.problems, document);
    else this.#schedule(SAVE_AFTER);
  }

  #failed(error: unknown, document: Document): void {
    if (error instanceof ApiError && error.status === 412) {
      this.#mergeWith(error.details as unknown as Stale);
    } else if (error instanceof Unreachable || (error instanceof ApiError && error.status >= 500)) {
      this.update({ phase: "offline", message: (error as Error).message });
      this.#schedule(RETRY_AFTER);
    } else if (error instanceof ApiError) {
      this.update({ phase: "refused", message: error.message });
      const details = error.details as { problems?: Problem[] } | null;
      if (details?.problems) this.onProblems(details.problems, document);
    } else throw error;
  }

  #mergeWith(stale: Stale): void {
    const theirs = normalise(stale.document);
    const merged = merge(this.#base, this.#editor.document, theirs);
    this.revision = stale.revision;
    this.#base = theirs;
    const by = stale.saved_by ?? "somebody else";
    this.#editor.adopt(merged.document);
    this.update({ phase: "unsaved", merged: [...this.get().merged, { ...merged, by }] });
    this.#copy.write({ revision: this.revision, base: theirs, mine: merged.document });
    this.#schedule(0);
  }

  /** The person has read what came in. */
  seen(): void {
    this.update({ merged: [] });
  }
}
