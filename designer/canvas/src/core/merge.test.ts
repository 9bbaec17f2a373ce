import { describe, expect, it } from "vitest";
import { addStep, connect, disconnect, editStep, editWorkflow, nudge, remove, rename } from "./edits.ts";
import { edgeId, findStep } from "./graph.ts";
import { merge } from "./merge.ts";
import { random, shop, step } from "./samples.ts";
import type { Document } from "./types.ts";

const edited = (
  doc: Document,
  ...makers: ((doc: Document) => { apply(doc: Document): Document } | null)[]
): Document => makers.reduce((now, make) => make(now)?.apply(now) ?? now, doc);

describe("merge", () => {
  it("keeps both when different steps changed", () => {
    const mine = edited(shop(), (doc) => editStep(doc, "reserve", { timeout: "PT1S" }));
    const theirs = edited(shop(), (doc) => editStep(doc, "refund", { timeout: "PT2S" }));
    const { document, arrived, clashes } = merge(shop(), mine, theirs);
    expect(findStep(document, "reserve")?.timeout).toBe("PT1S");
    expect(findStep(document, "refund")?.timeout).toBe("PT2S");
    expect(arrived).toEqual([{ what: 'step "refund" changed', step: "refund" }]);
    expect(clashes).toEqual([]);
  });

  it("keeps both when different fields of one step changed, also deep in its config", () => {
    const mine = edited(shop(), (doc) => nudge(doc, new Set(["charge"]), [8, 8]));
    const theirs = edited(shop(), (doc) =>
      editStep(doc, "charge", { config: { url: "x", body: "steps.reserve" } }),
    );
    const { document, clashes } = merge(shop(), mine, theirs);
    expect(findStep(document, "charge")).toMatchObject({ at: [296, 8], config: { url: "x" } });
    expect(clashes).toEqual([]);
  });

  it("keeps mine and reports theirs when both changed the same field", () => {
    const mine = edited(shop(), (doc) => editStep(doc, "charge", { timeout: "PT1S" }));
    const theirs = edited(shop(), (doc) => editStep(doc, "charge", { timeout: "PT9S" }));
    const { document, clashes } = merge(shop(), mine, theirs);
    expect(findStep(document, "charge")?.timeout).toBe("PT1S");
    expect(clashes).toHaveLength(1);
    expect(clashes[0]).toMatchObject({ step: "charge", theirs: { timeout: "PT9S" } });
  });

  it("says nothing of what both did alike", () => {
    const both = edited(shop(), (doc) => rename(doc, "charge", "Pay"));
    expect(merge(shop(), both, both)).toMatchObject({ document: both, arrived: [], clashes: [] });
  });

  it("brings added steps and connections, and removals of what I left alone", () => {
    const theirs = edited(
      shop(),
      (doc) => addStep(doc, step("audit"), { from: { key: "receipt", port: "out" } }),
      (doc) => remove(doc, new Set(["refund"])),
    );
    const { document } = merge(shop(), shop(), theirs);
    expect(document).toEqual(theirs);
  });

  it("a removal never wins over a change, whoever made it", () => {
    const removed = edited(shop(), (doc) => remove(doc, new Set(["refund"])));
    const changed = edited(shop(), (doc) => editStep(doc, "refund", { timeout: "PT1S" }));
    expect(findStep(merge(shop(), removed, changed).document, "refund")?.timeout).toBe("PT1S");
    expect(findStep(merge(shop(), changed, removed).document, "refund")?.timeout).toBe("PT1S");
  });

  it("leaves no connection without its step", () => {
    const mine = edited(shop(), (doc) => connect(doc, "receipt", "out", "refund"));
    const theirs = edited(shop(), (doc) => remove(doc, new Set(["receipt"])));
    const { document } = merge(shop(), mine, theirs);
    const keys = new Set(document.steps.map((item) => item.key));
    expect(document.edges.every((edge) => keys.has(edge.from) && keys.has(edge.to))).toBe(true);
  });

  it("merges the workflow's own settings field by field", () => {
    const mine = edited(shop(), (doc) => editWorkflow(doc, { settings: { deadline: "PT1H" } }));
    const theirs = edited(shop(), (doc) => editWorkflow(doc, { settings: { on_failure: "undo" } }));
    expect(merge(shop(), mine, theirs).document.settings).toEqual({ deadline: "PT1H", on_failure: "undo" });
  });

  it.each(Array.from({ length: 30 }, (_, seed) => seed))(
    "untouched mine becomes theirs and the other way round, seed %i",
    (seed) => {
      const next = random(seed + 7);
      let other = shop();
      for (let turn = 0; turn < 12; turn += 1) {
        const key = other.steps[Math.floor(next() * other.steps.length)]?.key ?? "";
        const edge = other.edges[Math.floor(next() * other.edges.length)];
        other = edited(
          other,
          (doc) =>
            next() < 0.3 ? addStep(doc, step(`s${turn}`), key ? { from: { key, port: "out" } } : {}) : null,
          (doc) =>
            next() < 0.2 ? remove(doc, new Set([key])) : editStep(doc, key, { timeout: `PT${turn}S` }),
          (doc) => (next() < 0.2 && edge ? disconnect(doc, new Set([edgeId(edge)])) : null),
        );
      }
      const sorted = (doc: Document): Document => ({
        ...doc,
        steps: [...doc.steps].sort((a, b) => a.key.localeCompare(b.key)),
        edges: [...doc.edges].sort((a, b) => edgeId(a).localeCompare(edgeId(b))),
      });
      expect(sorted(merge(shop(), shop(), other).document)).toEqual(sorted(other));
      expect(sorted(merge(shop(), other, shop()).document)).toEqual(sorted(other));
    },
  );
});
