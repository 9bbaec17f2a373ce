import { describe, expect, it } from "vitest";
import { fieldsOf, firstValue } from "./schema.ts";

describe("forms", () => {
  const root = {
    type: "object",
    required: ["url"],
    $defs: {
      Case: { type: "object", required: ["port"], properties: { port: { type: "string" }, when: {} } },
    },
    properties: {
      later: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
      url: { type: "string", "x-ui": { order: 1, label: "Address", widget: "text" } },
      cases: { type: "array", items: { $ref: "#/$defs/Case" } },
    },
  };
  it("orders fields, resolves references and drops the null of an optional value", () => {
    const fields = fieldsOf(root);
    expect(fields.map(({ name, label, widget, required }) => [name, label, widget, required])).toEqual([
      ["url", "Address", "text", true],
      ["later", "Later", "text", false],
      ["cases", "Cases", "list", false],
    ]);
  });
  it("starts a list item with what is required", () => {
    expect(firstValue({ $ref: "#/$defs/Case" }, root)).toEqual({ port: "" });
  });
});
