import { describe, expect, it } from "vitest";
import { propertiesOf, withProperties } from "./input-schema.ts";

describe("input schema", () => {
  const schema = {
    type: "object",
    title: "Kept",
    properties: {
      day: { type: "string", format: "date", maxLength: 10 },
      count: { type: "integer", default: 3 },
    },
    required: ["day"],
  };
  it("goes to the table and back unchanged", () => {
    expect(withProperties(schema, propertiesOf(schema))).toEqual(schema);
  });
  it("reads a default as JSON, else as text", () => {
    const [day, count] = propertiesOf(schema);
    const next = withProperties(schema, [
      { ...day, default: "today" } as never,
      { ...count, default: "7" } as never,
    ]);
    expect(next.properties).toMatchObject({ day: { default: "today" }, count: { default: 7 } });
  });
});
