import { describe, expect, it } from "vitest";
import { asExpression, expressionOf, type Field, fieldsOf, firstValue, sourceOf } from "./schema.ts";
import type { Schema } from "./types.ts";

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

describe("a condition", () => {
  const schema = { properties: { where: { "x-ui": { widget: "condition" } }, key: { type: "string" } } };
  const [where, key] = fieldsOf(schema as Schema) as [Field, Field];

  it("is written as an expression from the first letter, and gone with the last", () => {
    expect(sourceOf(undefined, where)).toBe("");
    expect(sourceOf({ $: "event.id" }, where)).toBe("event.id");
    expect(expressionOf("event.id", where)).toEqual({ $: "event.id" });
    expect(expressionOf("", where)).toBeUndefined();
  });

  it("shows a plain value for what it is", () => {
    expect(sourceOf("event.id", where)).toBeNull();
    expect(sourceOf(true, where)).toBeNull();
  });

  it("takes a text as the source that was meant, not as a text in quotes", () => {
    expect(asExpression("event.id", where)).toEqual({ $: "event.id" });
    expect(asExpression(true, where)).toEqual({ $: "True" });
    expect(asExpression("event.id", key)).toEqual({ $: '"event.id"' });
    expect(asExpression(undefined, key)).toEqual({ $: "" });
  });

  it("is an expression in a new item of a list", () => {
    const cases = {
      type: "object",
      required: ["port", "when"],
      properties: { port: { type: "string" }, when: schema.properties.where },
    };
    expect(firstValue(cases as Schema, cases as Schema)).toEqual({ port: "", when: { $: "" } });
  });

  it("is the only field that is so", () => {
    expect(sourceOf(undefined, key)).toBeNull();
    expect(expressionOf("", key)).toEqual({ $: "" });
  });
});
