import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Editor } from "../core/editor.ts";
import { editStep, remove, rename } from "../core/edits.ts";
import { findStep } from "../core/graph.ts";
import { shop } from "../core/samples.ts";
import type { Document, Json } from "../core/types.ts";
import { DraftSync } from "./draft-sync.ts";
import { ApiError, Unreachable } from "./http.ts";
import type { LocalCopy, Unsaved } from "./local-copy.ts";
import type { Draft, Saved } from "./workflow.ts";

/** A server that holds one draft and refuses a stale revision, like the real one. */
class Server {
  revision = 1;
  document: Document = shop();
  saves = 0;
  fail: Error | null = null;

  save = async (document: Document, revision: number): Promise<Saved> => {
    this.saves += 1;
    if (this.fail) throw this.fail;
    if (revision !== this.revision) {
      const details = { revision: this.revision, document: this.document, saved_by: "bob" };
      throw new ApiError(412, "stale_revision", "Somebody saved in between.", details as unknown as Json);
    }
    this.document = document;
    this.revision += 1;
    return { revision: this.revision, problems: [], saved_at: "" };
  };

  /** What another person does meanwhile. */
  other(change: (doc: Document) => { apply(doc: Document): Document } | null): void {
    this.document = change(this.document)?.apply(this.document) ?? this.document;
    this.revision += 1;
  }
}

function memory(): LocalCopy & { held: Unsaved | null } {
  const copy = {
    held: null as Unsaved | null,
    read: () => copy.held,
    write: (unsaved: Unsaved) => {
      copy.held = unsaved;
    },
    clear: () => {
      copy.held = null;
    },
  };
  return copy;
}

function opened(server = new Server(), copy = memory()) {
  const draft: Draft = {
    revision: server.revision,
    document: server.document,
    problems: [],
    saved_at: null,
    saved_by: null,
    live_version: null,
  };
  const editor = new Editor(server.document);
  return { server, copy, editor, sync: new DraftSync(editor, draft, server, copy) };
}

const timeout = (key: string, value: string) => (doc: Document) => editStep(doc, key, { timeout: value });

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("saving", () => {
  it("waits for a pause, then sends one request for several edits", async () => {
    const { server, editor, sync, copy } = opened();
    editor.run(timeout("charge", "PT1S"));
    await vi.advanceTimersByTimeAsync(400);
    editor.run(timeout("charge", "PT2S"));
    expect(copy.held).not.toBeNull();
    await vi.advanceTimersByTimeAsync(599);
    expect(server.saves).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(server.saves).toBe(1);
    expect(sync.get().phase).toBe("saved");
    expect(copy.held).toBeNull();
  });

  it("sends nothing for a mere selection", async () => {
    const { server, editor } = opened();
    editor.select(["charge"]);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(server.saves).toBe(0);
  });

  it("saves what was typed while a request was on its way", async () => {
    const { server, editor, sync } = opened();
    editor.run(timeout("charge", "PT1S"));
    const saving = sync.flush();
    editor.run(timeout("charge", "PT2S"));
    await saving;
    await vi.advanceTimersByTimeAsync(700);
    expect(findStep(server.document, "charge")?.timeout).toBe("PT2S");
    expect(sync.dirty).toBe(false);
  });
});

describe("somebody else saved", () => {
  it("merges step by step, saves the result, and says what came in", async () => {
    const { server, editor, sync } = opened();
    server.other((doc) => rename(doc, "refund", "Give back"));
    editor.run(timeout("charge", "PT1S"));
    expect(await sync.flush()).toBe(false);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(findStep(server.document, "charge")?.timeout).toBe("PT1S");
    expect(findStep(server.document, "give_back")?.name).toBe("Give back");
    expect(sync.get().merged[0]?.by).toBe("bob");
    expect(sync.get().merged[0]?.arrived.length).toBeGreaterThan(0);
    expect(sync.get().phase).toBe("saved");
  });

  it("never drops a step that I changed and they removed", async () => {
    const { server, editor, sync } = opened();
    server.other((doc) => remove(doc, new Set(["refund"])));
    editor.run(timeout("refund", "PT1S"));
    await sync.flush();
    await vi.advanceTimersByTimeAsync(1_000);
    expect(findStep(server.document, "refund")?.timeout).toBe("PT1S");
    expect(sync.get().merged[0]?.clashes).toHaveLength(1);
  });

  it("survives several foreign saves in a row", async () => {
    const { server, editor, sync } = opened();
    editor.run(timeout("charge", "PT1S"));
    for (const value of ["PT1S", "PT2S", "PT3S"]) {
      server.other(timeout("receipt", value));
      await sync.flush();
    }
    await vi.advanceTimersByTimeAsync(2_000);
    expect(findStep(server.document, "charge")?.timeout).toBe("PT1S");
    expect(findStep(server.document, "receipt")?.timeout).toBe("PT3S");
  });
});

describe("trouble", () => {
  it("keeps a local copy while offline and saves by itself when the server is back", async () => {
    const { server, editor, sync, copy } = opened();
    server.fail = new Unreachable("gone");
    editor.run(timeout("charge", "PT1S"));
    await sync.flush();
    expect(sync.get().phase).toBe("offline");
    expect(copy.held?.mine).toBe(editor.document);
    server.fail = null;
    await vi.advanceTimersByTimeAsync(4_000);
    expect(sync.get().phase).toBe("saved");
    expect(copy.held).toBeNull();
  });

  it("names a refusal and does not hammer the server", async () => {
    const { server, editor, sync } = opened();
    server.fail = new ApiError(400, "document_malformed", "Step key is missing.", null);
    editor.run(timeout("charge", "PT1S"));
    await sync.flush();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sync.get()).toMatchObject({ phase: "refused", message: "Step key is missing." });
    expect(server.saves).toBe(1);
  });

  it("brings back what an earlier visit could not save, on top of what others did since", async () => {
    const first = opened();
    first.server.fail = new Unreachable("gone");
    first.editor.run(timeout("charge", "PT1S"));
    await first.sync.flush();
    vi.clearAllTimers();
    first.server.fail = null;
    first.server.other(timeout("refund", "PT9S"));
    const second = opened(first.server, first.copy);
    expect(findStep(second.editor.document, "charge")?.timeout).toBe("PT1S");
    expect(findStep(second.editor.document, "refund")?.timeout).toBe("PT9S");
    await vi.advanceTimersByTimeAsync(10);
    expect(findStep(first.server.document, "charge")?.timeout).toBe("PT1S");
  });
});
