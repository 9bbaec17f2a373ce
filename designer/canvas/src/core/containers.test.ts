import { describe, expect, it } from "vitest";
import { copyOf, fromText, paste, toText } from "./clipboard.ts";
import type { Command } from "./command.ts";
import { moveTo, putInto, takeOut, unwrap, wrap } from "./containers.ts";
import { addStep, insertIntoEdge, nudge, remove, rename } from "./edits.ts";
import { Frames } from "./frames.ts";
import { overlap } from "./geometry.ts";
import { edgeId, findStep } from "./graph.ts";
import { merge } from "./merge.ts";
import { nestingOf } from "./nesting.ts";
import { addRegion, editRegion, removeRegion } from "./regions.ts";
import { KINDS, kindOf, LAYOUT, nested, step } from "./samples.ts";
import type { Document, StepKind } from "./types.ts";

/** Applies the command, and shows on the way that it takes itself back. */
const done = (doc: Document, command: Command | null): Document => {
  if (!command) throw new Error("The edit changed nothing.");
  const after = command.apply(doc);
  expect(command.revert(after)).toEqual(doc);
  return after;
};
const ids = (doc: Document): string[] => doc.edges.map(edgeId).sort();
const parents = (doc: Document, ...keys: string[]) => keys.map((key) => findStep(doc, key)?.parent ?? null);
const set = (...keys: string[]): Set<string> => new Set(keys);
const SCOPE = KINDS.scope as StepKind;

/** Boxes of one level never lie over each other. */
const expectRoom = (doc: Document): void => {
  const frames = new Frames(doc, kindOf);
  for (const parent of [null, ...doc.steps.map((item) => item.key)]) {
    const level = frames.nesting.children(parent);
    for (const one of level)
      for (const other of level)
        if (one !== other && overlap(frames.box(one), frames.box(other)))
          throw new Error(`${one.key} lies over ${other.key}`);
  }
};

describe("putting steps into a container", () => {
  it("moves what led to them to the border", () => {
    const after = done(nested(), putInto(nested(), set("load"), "each", LAYOUT));
    expect(parents(after, "load", "pick")).toEqual(["each", "each"]);
    // load led to the container it lies in now: there is no border left to lead to.
    expect(ids(after)).not.toContain("load:out:each");
    const inner = done(nested(), putInto(nested(), set("pack"), "turns", LAYOUT));
    expect(ids(inner)).not.toContain("turns:out:pack");
    expect(parents(inner, "pack")).toEqual(["turns"]);
  });

  it("keeps a chain whole: a -> b -> c with b put into x leads a -> x -> c", () => {
    const doc = {
      ...nested(),
      steps: [
        step("a"),
        step("b", { at: [288, 0] }),
        step("c", { at: [576, 0] }),
        step("x", { kind: "scope" }),
      ],
      edges: [
        { from: "a", to: "b" },
        { from: "b", to: "c" },
      ],
    };
    const after = done(doc, putInto(doc, set("b"), "x", LAYOUT));
    expect(ids(after)).toEqual(["a:out:x", "x:out:c"]);
  });

  it("lays the steps below the head of the frame, and makes room around it", () => {
    const after = done(nested(), putInto(nested(), set("note_down"), "each", LAYOUT));
    const frames = new Frames(after, kindOf);
    const [frame, box] = [frames.boxOf("each"), frames.boxOf("note_down")];
    expect(box?.y).toBeGreaterThan((frame?.y ?? 0) + 56);
    expectRoom(after);
  });

  it("leaves an empty frame where it is", () => {
    const doc = { ...nested(), steps: [...nested().steps, step("s", { kind: "scope", at: [800, 800] })] };
    const after = done(doc, putInto(doc, set("note_down"), "s", LAYOUT));
    expect(new Frames(after, kindOf).boxOf("s")).toMatchObject({ x: 800, y: 800 });
  });
});

describe("taking steps out", () => {
  it("heals the body and leads from the container to the last step", () => {
    const middle = done(nested(), takeOut(nested(), set("turns"), LAYOUT));
    expect(parents(middle, "turns", "ask")).toEqual([null, "turns"]);
    expect(ids(middle)).toContain("pick:out:pack");
    const last = done(nested(), takeOut(nested(), set("pack"), LAYOUT));
    expect(ids(last)).toContain("each:out:pack");
  });
});

describe("a container around a selection", () => {
  it("takes the place of what it holds", () => {
    const after = done(nested(), wrap(nested(), set("pick", "turns"), SCOPE, LAYOUT));
    expect(parents(after, "pick", "turns", "ask", "scope")).toEqual(["scope", "scope", "turns", "each"]);
    expect(ids(after)).toEqual([
      "ask:out:wait",
      "each:out:report",
      "load:out:each",
      "pick:out:turns",
      "scope:out:pack",
    ]);
    expectRoom(after);
  });

  it("dissolves again into the same connections", () => {
    const doc = nested();
    const around = done(doc, wrap(doc, set("turns"), SCOPE, LAYOUT));
    expect(ids(around)).toContain("pick:out:scope");
    const after = done(around, unwrap(around, "scope", LAYOUT));
    expect(ids(after)).toEqual(ids(doc));
    expect(nestingOf(after).parent("turns")).toBe("each");
  });
});

describe("edits of what is nested", () => {
  it("deletes a container with all it holds, as one step back", () => {
    const after = done(nested(), remove(nested(), set("each"), true));
    expect(after.steps.map((item) => item.key)).toEqual(["load", "report", "note_down"]);
    expect(ids(after)).toEqual(["load:out:report"]);
  });

  it("moves what a container holds along with it", () => {
    const corner = new Frames(nested(), kindOf).boxOf("each");
    const to = [(corner?.x ?? 0) + 80, (corner?.y ?? 0) + 40] as const;
    const after = done(nested(), moveTo(nested(), new Map([["each", to]]), LAYOUT, true));
    expect(findStep(after, "ask")?.at).toEqual([704, 200]);
    expect(new Frames(after, kindOf).boxOf("each")).toMatchObject({ x: to[0], y: to[1] });
    expect(findStep(done(nested(), nudge(nested(), set("turns"), [8, 0])), "wait")?.at).toEqual([920, 160]);
  });

  it("pushes neighbours aside when a dragged step stretches the frame", () => {
    const after = done(nested(), moveTo(nested(), new Map([["wait", [1500, 160] as const]]), LAYOUT, true));
    expectRoom(after);
    expect(findStep(after, "report")?.at[0]).toBeGreaterThan(1600);
    expect(findStep(after, "report")?.at[1]).toBe(0);
  });

  it("makes room for a step added inside", () => {
    const added = step("more", { at: [1536, 80], parent: "each" });
    const after = done(
      nested(),
      addStep(nested(), added, { from: { key: "pack", port: "out" } }, "out", LAYOUT),
    );
    expectRoom(after);
  });

  it("puts a step that is dropped on an inner connection into that container", () => {
    const doc = nested();
    const after = done(doc, insertIntoEdge(doc, "note_down", { from: "ask", to: "wait" }, "out"));
    expect(parents(after, "note_down")).toEqual(["turns"]);
    expect(ids(after)).toContain("ask:out:note_down");
  });

  it("renames a container in its children too", () => {
    const after = done(nested(), rename(nested(), "turns", "Until it answers"));
    expect(parents(after, "ask", "wait")).toEqual(["until_it_answers", "until_it_answers"]);
  });
});

describe("copies", () => {
  it("keep the nesting through the text of the clipboard, under new keys", () => {
    const read = fromText(toText(copyOf(nested(), set("each"))));
    if (!read.ok) throw new Error(read.why);
    const after = done(nested(), paste(nested(), read.document, { shift: [0, 800] }));
    expect(parents(after, "each_2", "pick_2", "turns_2", "ask_2")).toEqual([
      null,
      "each_2",
      "each_2",
      "turns_2",
    ]);
    expect(ids(after)).toContain("ask_2:out:wait_2");
  });

  it("go into a container where one is named; a container left behind is forgotten", () => {
    const copied = copyOf(nested(), set("ask", "wait"));
    expect(parents(copied, "ask", "wait")).toEqual([null, null]);
    const after = done(nested(), paste(nested(), copied, { shift: [0, 200] }, "each"));
    expect(parents(after, "ask_2", "wait_2")).toEqual(["each", "each"]);
  });

  it("make room where the frame grows by them", () => {
    const copied = copyOf(nested(), set("pack"));
    const after = done(nested(), paste(nested(), copied, { shift: [320, 0] }, "each", LAYOUT));
    expectRoom(after);
  });

  it("select the containers and not what lies in them", () => {
    const made = paste(nested(), copyOf(nested(), set("each")), { shift: [0, 800] });
    expect(made?.select).toEqual(["each_2"]);
  });
});

describe("merging with another person", () => {
  it("keeps a step I changed while its container was removed, outside", () => {
    const base = nested();
    const mine = {
      ...base,
      steps: base.steps.map((item) => (item.key === "ask" ? { ...item, name: "Ask!" } : item)),
    };
    const theirs = done(base, remove(base, set("turns")));
    const { document } = merge(base, mine, theirs);
    expect(parents(document, "ask")).toEqual([null]);
    expect(findStep(document, "wait")).toBeUndefined();
  });
});

describe("regions", () => {
  it("are made of a selection, edited and removed", () => {
    const made = done(nested(), addRegion(nested(), set("each", "ask", "load"), "parallel"));
    expect(made.regions).toEqual([{ key: "region", pattern: "parallel", steps: ["load", "each"] }]);
    const named = done(made, editRegion(made, "region", { name: "Payment", pattern: "event" }));
    expect(named.regions[0]).toMatchObject({ name: "Payment", pattern: "event" });
    expect(done(named, removeRegion(named, "region")).regions).toEqual([]);
  });
});
