import { describe, expect, it } from "vitest";
import { kindOf, shop } from "./samples.ts";
import { speaker } from "./speech.ts";

describe("spoken names", () => {
  it("say name, kind, what comes before and where each port leads", () => {
    const speak = speaker(shop(), kindOf);
    expect(speak(shop().steps[1] as never)).toBe(
      "Charge, HTTP request, after Reserve, then Receipt, fails to Refund",
    );
    expect(speak(shop().steps[0] as never)).toBe("Reserve, Transform, starts the run, then Charge");
  });
});
