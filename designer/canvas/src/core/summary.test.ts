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
