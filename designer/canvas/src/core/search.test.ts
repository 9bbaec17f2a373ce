import { describe, expect, it } from "vitest";
import { found } from "./search.ts";
import { ago } from "./times.ts";

describe("search and times", () => {
  it("puts the start of a word before its middle", () => {
    expect(found(["recharge", "charge card", "change"], "char", (text) => [text])).toEqual([
      "charge card",
      "recharge",
    ]);
  });
  it.each([
    [0, "just now"],
    [8_000, "8 s ago"],
    [190_000, "3 min ago"],
    [7_200_000, "2 h ago"],
  ])("%d ms is %s", (past, words) => expect(ago(0, past)).toBe(words));
});
