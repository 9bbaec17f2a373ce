import { describe, expect, it } from "vitest";
import { keyFollowsName, keyFrom } from "./keys.ts";

describe("keys", () => {
  it.each([
    ["Charge card!", "charge_card"],
    ["  Größe prüfen", "grosse_prufen"],
    ["2nd try", "nd_try"],
    ["???", "step"],
  ])("%j -> %s", (name, key) => expect(keyFrom(name)).toBe(key));

  it.each([
    ["charge_card", "Charge card", true],
    ["charge_card_2", "Charge card", true],
    ["cc", "Charge card", false],
  ])("%s follows %j: %s", (key, name, follows) => expect(keyFollowsName(key, name)).toBe(follows));
});
