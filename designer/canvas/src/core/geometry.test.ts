import { describe, expect, it } from "vitest";
import { shapeOf } from "./geometry.ts";
import { portsOf } from "./graph.ts";
import { KINDS, step } from "./samples.ts";

describe("ports", () => {
  it.each([
    [step("a"), ["out", "error", "timeout"]],
    [
      step("a", { kind: "choose", config: { cases: [{ port: "big" }, { port: "small" }] } }),
      ["big", "small", "otherwise", "error"],
    ],
    [step("a", { kind: "choose" }), ["otherwise", "error"]],
    [step("a", { kind: "human_task", config: { outcomes: [{ key: "yes" }, "no"] } }), ["yes", "no", "error"]],
    [step("a", { kind: "human_task", config: { due: "P1D" } }), ["approved", "rejected", "error", "timeout"]],
    [step("a", { kind: "end" }), []],
    [step("a", { kind: "wait_event" }), ["out", "error"]],
    [step("a", { kind: "wait_event", config: { due: "P1D" } }), ["out", "error"]],
    [step("a", { kind: "wait_event", config: { deadline: null } }), ["out", "error"]],
    [
      step("a", { kind: "wait_event", config: { deadline: { $: "input.days" } } }),
      ["out", "error", "timeout"],
    ],
  ])("of $kind", (item, ports) => expect(portsOf(item, KINDS[item.kind])).toEqual(ports));

  it("keeps the failure ports of an unknown kind drawable", () => {
    expect(portsOf(step("a", { kind: "gone" }), undefined)).toEqual(["out", "error"]);
  });

  it("gives named ports a row each, inside the box", () => {
    const shape = shapeOf(["yes", "no", "error"]);
    expect(shape.rows).toBe(true);
    const right = shape.ports.filter((place) => place.side === "right");
    expect(right.every((place) => place.y > 0 && place.y < shape.height)).toBe(true);
    expect(shape.ports.at(-1)).toMatchObject({ port: "error", side: "bottom", y: shape.height });
  });
});
