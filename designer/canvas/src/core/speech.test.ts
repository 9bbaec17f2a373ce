import { describe, expect, it } from "vitest";
import { kindOf, nested, shop } from "./samples.ts";
import { speaker } from "./speech.ts";

describe("spoken names", () => {
  it("say name, kind, what comes before and where each port leads", () => {
    const speak = speaker(shop(), kindOf);
    expect(speak(shop().steps[1] as never)).toBe(
      "Charge, HTTP request, after Reserve, then Receipt, fails to Refund",
    );
    expect(speak(shop().steps[0] as never)).toBe("Reserve, Transform, starts the run, then Charge");
  });

  it("say what a step lies in, and what a container holds", () => {
    const speak = speaker(nested(), kindOf);
    const by = new Map(nested().steps.map((step) => [step.key, speak(step)]));
    expect(by.get("ask")).toBe("Ask, Transform, inside Turns, starts Turns, then Wait");
    expect(by.get("pack")).toBe("Pack, Transform, inside Each, after Turns");
    expect(by.get("each")).toBe("Each, For each, after Load, holds 5 steps, then Report");
  });
});
