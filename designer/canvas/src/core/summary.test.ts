import { describe, expect, it } from "vitest";
import { summaryOf } from "./summary.ts";
import type { Json, Step } from "./types.ts";

const mail = (subject: Json): string =>
  summaryOf({ key: "mail", name: "Mail", kind: "email", at: [0, 0], config: { subject } } as Step, undefined);

describe("the line under a step's name", () => {
  it.each<[Json, string]>([
    ["Plain words", "Plain words"],
    [{ $: "f'Sales: {steps.report.revenue:.2f} EUR'" }, "Sales: … EUR"],
    [{ $: 'f"{input.a}{input.b} in {{braces}}"' }, "…… in {braces}"],
    [{ $: "'No hole {here}'" }, "No hole {here}"],
    // More than one text is an expression, and shown as one.
    [{ $: "'a' + 'b'" }, "'a' + 'b'"],
    [{ $: "input.subject" }, "input.subject"],
    ["", "email"],
  ])("of %j is %s", (subject, line) => {
    expect(mail(subject)).toBe(line);
  });
});

describe("the line under a wait for an event", () => {
  const line = (config: { [key: string]: Json }): string =>
    summaryOf({ key: "wait", name: "Wait", kind: "wait_event", at: [0, 0], config } as Step, undefined);

  it.each<[{ [key: string]: Json }, string]>([
    [{}, "wait_event"],
    [{ type: "order.paid" }, "order.paid"],
    [{ type: "order.paid", key: 17 }, "order.paid for 17"],
    [{ type: "order.paid", key: { $: "input.order" } }, "order.paid for input.order"],
    [{ type: "", key: "17" }, "wait_event"],
  ])("of %j is %s", (config, words) => expect(line(config)).toBe(words));
});
