import { describe, expect, it } from "vitest";
import { difference, nothingDiffers } from "./diff.ts";
import { shop, step } from "./samples.ts";

describe("what publishing changes", () => {
  it("tells moved from changed", () => {
    const draft = shop();
    draft.steps[0] = { ...(draft.steps[0] as never as object), at: [8, 8] } as never;
    draft.steps[1] = { ...(draft.steps[1] as never as object), timeout: "PT1S" } as never;
    draft.steps.push(step("audit"));
    const result = difference(shop(), { ...draft, edges: draft.edges.slice(1) });
    expect(result.moved.map((item) => item.key)).toEqual(["reserve"]);
    expect(result.changed.map((item) => item.key)).toEqual(["charge"]);
    expect(result.added.map((item) => item.key)).toEqual(["audit"]);
    expect([result.edgesAdded, result.edgesRemoved]).toEqual([0, 1]);
    expect(nothingDiffers(difference(shop(), shop()))).toBe(true);
  });
});
