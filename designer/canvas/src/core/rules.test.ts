import { describe, expect, it } from "vitest";
import { mayConnect, mayInsert, mayPutInto, mayRenameKey, mayWrap } from "./rules.ts";
import { KINDS, kindOf, nested, shop, step } from "./samples.ts";
import type { Document, StepKind } from "./types.ts";

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

describe("across a border", () => {
  it.each([
    ["load", "pick", /cannot cross the border of "Each".*Connect "Each" itself, or move "Load" into it/],
    ["pack", "report", /cannot cross the border of "Each".*move "Report" into it/],
    ["pick", "ask", /border of "Turns".*move "Pick" into it/],
    ["each", "pick", /"Pick" lies inside "Each": a step without a way in starts it/],
    ["pack", "each", /"Pack" lies inside "Each": it ends when its last step has ended/],
  ])("%s to %s says why not", (from, to, why) => {
    const answer = mayConnect(nested(), from, "out", to, kindOf);
    expect(answer).toMatchObject({ ok: false, why: expect.stringMatching(why) });
  });

  it("lets steps of one container connect", () => {
    expect(mayConnect(nested(), "pick", "out", "pack", kindOf)).toEqual({ ok: true });
  });
});

const scope = KINDS.scope as StepKind;

/** Eight scopes in each other, and a loose step. */
const deep = (): Document => ({
  ...nested(),
  steps: [
    ...Array.from({ length: 8 }, (_, index) =>
      step(`s${index}`, { kind: "scope", ...(index ? { parent: `s${index - 1}` } : {}) }),
    ),
    step("leaf", { parent: "s7" }),
    step("loose", { kind: "scope" }),
    step("in_loose", { parent: "loose" }),
  ],
  edges: [],
});

describe("mayPutInto and mayWrap", () => {
  it.each([
    [["each"], "turns", /"Each" cannot go into itself/],
    [["load"], "report", /"Report" holds no steps/],
    [[], "each", /Select steps first/],
  ])("%j into %s: no", (keys, parent, why) => {
    expect(mayPutInto(nested(), new Set(keys), parent)).toMatchObject({
      ok: false,
      why: expect.stringMatching(why),
    });
  });

  it("refuses what would lie deeper than the server allows", () => {
    const why = expect.stringMatching(/at most 8 deep/);
    expect(mayPutInto(deep(), new Set(["loose"]), "s7")).toMatchObject({ ok: false, why });
    expect(mayWrap(deep(), new Set(["leaf"]), scope)).toMatchObject({ ok: false, why });
    expect(mayPutInto(deep(), new Set(["loose"]), "s6")).toEqual({ ok: true });
  });

  it("refuses a container around two ends of a path whose middle stays outside", () => {
    const why = expect.stringMatching(/closes a circle.*Take the steps between them along/);
    expect(mayWrap(nested(), new Set(["load", "report"]), scope)).toMatchObject({ ok: false, why });
    expect(mayWrap(nested(), new Set(["load", "each"]), scope)).toEqual({ ok: true });
  });

  it("refuses a container around steps of different containers", () => {
    const why = expect.stringMatching(/lie in different containers/);
    expect(mayWrap(nested(), new Set(["load", "pick"]), scope)).toMatchObject({ ok: false, why });
  });
});
