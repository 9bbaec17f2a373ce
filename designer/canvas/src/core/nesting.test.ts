import { describe, expect, it } from "vitest";
import { Frames, keepCorners } from "./frames.ts";
import { nestingOf } from "./nesting.ts";
import { kindOf, nested, step } from "./samples.ts";
import { emptyDocument } from "./types.ts";

describe("nesting", () => {
  it("knows who lies in whom, at any depth", () => {
    const nesting = nestingOf(nested());
    expect(nesting.around("ask")).toEqual(["turns", "each"]);
    expect(
      nesting
        .inside("each")
        .map((item) => item.key)
        .sort(),
    ).toEqual(["ask", "pack", "pick", "turns", "wait"]);
    expect(nesting.height("each")).toBe(2);
    expect(nesting.tops(new Set(["each", "ask", "load"]))).toEqual(["each", "load"]);
    expect([...nesting.whole(new Set(["turns"]))].sort()).toEqual(["ask", "turns", "wait"]);
  });

  it.each([
    ["a parent that is missing", [step("a", { parent: "gone" })]],
    ["a parent that holds nothing", [step("a", { parent: "b" }), step("b")]],
    [
      "containers that lie in each other",
      [step("a", { kind: "scope", parent: "b" }), step("b", { kind: "scope", parent: "a" })],
    ],
    ["a container that lies in itself", [step("a", { kind: "scope", parent: "a" })]],
  ])("shows a step with %s outside, where it can be repaired", (_, steps) => {
    const nesting = nestingOf({ ...emptyDocument(""), steps });
    expect(nesting.children(null)).toHaveLength(steps.length);
  });
});

describe("frames", () => {
  const frames = new Frames(nested(), kindOf);

  it("hold everything that lies in them, at any depth", () => {
    const outer = frames.boxOf("each") as never as { x: number; y: number; width: number; height: number };
    for (const { key } of frames.nesting.inside("each")) {
      const box = frames.boxOf(key) as typeof outer;
      expect(box.x).toBeGreaterThan(outer.x);
      expect(box.y).toBeGreaterThan(outer.y);
      expect(box.x + box.width).toBeLessThan(outer.x + outer.width);
      expect(box.y + box.height).toBeLessThan(outer.y + outer.height);
    }
  });

  it("shrink to a box when closed, and hide what they hold", () => {
    const closed = new Frames(nested(), kindOf, new Set(["each"]));
    expect(closed.boxOf("each")).toMatchObject({ width: 208, height: 56 });
    expect(closed.hidden("ask")).toBe(true);
    expect(closed.under([700, 200])).toBeNull();
  });

  it("find the innermost container under a place", () => {
    expect(frames.under([700, 200])).toBe("turns");
    expect(frames.under([320, 200])).toBe("each");
    expect(frames.under([20, 20])).toBeNull();
    expect(frames.under([700, 200], new Set(["turns"]))).toBe("each");
  });

  it("stay where they were when the last step is gone", () => {
    const before = nested();
    const box = frames.boxOf("turns");
    const after = { ...before, steps: before.steps.filter((item) => item.parent !== "turns") };
    const empty = new Frames(keepCorners(before, after), kindOf);
    expect(empty.boxOf("turns")).toMatchObject({ x: box?.x, y: box?.y });
  });
});
