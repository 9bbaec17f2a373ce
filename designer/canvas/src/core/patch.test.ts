import { describe, expect, it } from "vitest";
import { patched } from "./patch.ts";
import { shop } from "./samples.ts";

describe("fixes", () => {
  it("apply to a copy", () => {
    const doc = shop();
    const next = patched(doc, [
      { op: "replace", path: "/steps/1/name", value: "Pay" },
      { op: "remove", path: "/edges/0" },
      { op: "add", path: "/steps/0/timeout", value: "PT5S" },
    ]);
    expect([next.steps[1]?.name, next.edges.length, next.steps[0]?.timeout]).toEqual(["Pay", 2, "PT5S"]);
    expect(doc).toEqual(shop());
  });
  it("say so when their place is gone", () => {
    expect(() => patched(shop(), [{ op: "replace", path: "/steps/9/name", value: "x" }])).toThrow(
      /not in this document/,
    );
  });
});
