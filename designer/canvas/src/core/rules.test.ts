import { describe, expect, it } from "vitest";
import { mayConnect, mayInsert, mayRenameKey } from "./rules.ts";
import { kindOf, shop, step } from "./samples.ts";

const doc = {
  ...shop(),
  steps: [
    ...shop().steps,
    step("choice", { kind: "choose", config: { cases: [{ port: "large", when: true }] } }),
    step("stop", { kind: "end" }),
  ],
};

describe("mayConnect", () => {
  it.each([
    ["receipt", "out", "refund"], // a free way forward
    ["charge", "timeout", "refund"], // the same two steps by another port
    ["choice", "large", "reserve"], // a port from the config
    ["choice", "otherwise", "reserve"], // a port every choice has
  ])("%s by %s to %s is allowed", (from, port, to) => {
    expect(mayConnect(doc, from, port, to, kindOf)).toEqual({ ok: true });
  });

  it.each([
    ["charge", "out", "charge", /cannot lead to itself.*repeat/],
    ["reserve", "out", "charge", /already leads/],
    ["receipt", "out", "reserve", /closes a circle.*repeat/],
    ["choice", "out", "reserve", /no port "out".*large, otherwise, error/],
    ["stop", "out", "reserve", /no port "out"/],
    ["nobody", "out", "reserve", /from one step to another/],
  ])("%s by %s to %s is refused", (from, port, to, why) => {
    const answer = mayConnect(doc, from, port, to, kindOf);
    expect(answer.ok ? "" : answer.why).toMatch(why);
  });
});

describe("mayInsert", () => {
  it("allows a loose step", () => {
    expect(mayInsert(doc, "choice", "reserve", "charge").ok).toBe(true);
  });
  it.each([
    ["receipt", "reserve", "charge"], // it comes after that connection
    ["charge", "reserve", "charge"], // it is an end of it
  ])("refuses %s between %s and %s", (key, from, to) => {
    expect(mayInsert(doc, key, from, to).ok).toBe(false);
  });
});

describe("mayRenameKey", () => {
  it.each([
    ["pay", true],
    ["charge", true], // itself
    ["reserve", false], // taken
    ["Pay", false],
    ["1st", false],
    ["", false],
    ["a".repeat(64), false],
    ["a".repeat(63), true],
  ])("charge -> %j: %s", (wanted, ok) => {
    expect(mayRenameKey(doc, "charge", wanted).ok).toBe(ok);
  });
});
