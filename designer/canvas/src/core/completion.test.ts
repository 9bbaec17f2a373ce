import { describe, expect, it } from "vitest";
import { complete } from "./completion.ts";
import { fromPython, toPython } from "./python.ts";

describe("expressions", () => {
  const roots = {
    input: { order: { id: "a", "odd key": 1 }, other: 1 },
    steps: { charge: { status: 200 } },
    join: {
      branches: { charge: { state: "failed", output: null, error: { code: "declined" } } },
      arrived: [],
      missing: [],
    },
  };
  it.each([
    ["in", ["input"]],
    ["input.", ["order", "other"]],
    ["input.o", ["order", "other"]],
    ["1 + steps.charge.st", ["status"]],
    ["jo", ["join"]],
    ["len(join.", ["branches", "arrived", "missing"]],
    ["join.branches.", ["charge"]],
    ["join.branches.charge.error.", ["code"]],
    ["f'Hello {input.order.", ["id"]],
  ])("%j offers %j", (text, names) => {
    expect(complete(text, roots)?.suggestions.map((item) => item.text)).toEqual(names);
  });
  it.each(["", "1 + ", "'input.", "input.order.id", "nothing."])("%j offers nothing", (text) => {
    expect(complete(text, roots)).toBeNull();
  });
  it.each([null, true, 12, "it's", [1, "a"], { a: [false] }])(
    "%j survives the way to Python and back",
    (value) => {
      expect(fromPython(toPython(value))).toEqual(value);
    },
  );
  it("does not take a computation for a literal", () => expect(fromPython("input.a + 1")).toBeUndefined());
});
