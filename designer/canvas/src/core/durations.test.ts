import { describe, expect, it } from "vitest";
import { isoOf, readDuration, secondsOf, spokenDuration } from "./durations.ts";

describe("durations", () => {
  it.each([
    ["PT30S", "PT30S"],
    ["30 s", "PT30S"],
    ["90", "PT1M30S"],
    ["5 min", "PT5M"],
    ["1h 30m", "PT1H30M"],
    ["2 days and 3 hours", "P2DT3H"],
    ["0.5 s", "PT0.5S"],
    ["P1W", "P1W"],
    ["2 weeks", "P14D"],
    ["soon", null],
    ["5 parsecs", null],
    ["", null],
  ])("%j reads as %j", (text, iso) => expect(readDuration(text)).toBe(iso));

  it.each([1, 59, 60, 3_599, 86_400, 90_061, 0.25])("%d s goes to ISO and back", (seconds) => {
    expect(secondsOf(isoOf(seconds))).toBe(seconds);
    expect(readDuration(spokenDuration(isoOf(seconds)))).toBe(isoOf(seconds));
  });

  it("a week is seven days", () => {
    expect(secondsOf("P1WT1H")).toBe(7 * 86_400 + 3_600);
    expect(spokenDuration("P2W")).toBe("14 d");
  });

  it.each(["P", "PT", "P1Y", "1H"])("%s is no duration", (text) => expect(secondsOf(text)).toBeNull());
});
