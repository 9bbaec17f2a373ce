/** The run's input as a table of properties, and back to JSON Schema. What the table cannot show stays as it is. */
import { isJsonObject } from "./equal.ts";
import type { Json, JsonObject } from "./types.ts";

export const INPUT_TYPES = [
  "string",
  "integer",
  "number",
  "boolean",
  "object",
  "array",
  "date",
  "email",
] as const;
export type InputType = (typeof INPUT_TYPES)[number];

export interface InputProperty {
  name: string;
  type: InputType;
  required: boolean;
  description: string;
  /** JSON text of the default; empty when there is none. */
  default: string;
  /** The property's schema as it was, so that unknown keywords survive an edit. */
  rest: JsonObject;
}

const FORMATS: Record<string, InputType> = { date: "date", email: "email" };

function typeOf(schema: JsonObject): InputType {
  const format = typeof schema.format === "string" ? FORMATS[schema.format] : undefined;
  if (format) return format;
  return INPUT_TYPES.includes(schema.type as InputType) ? (schema.type as InputType) : "string";
}

export function propertiesOf(input: JsonObject): InputProperty[] {
  const properties = isJsonObject(input.properties) ? input.properties : {};
  const required = Array.isArray(input.required) ? input.required : [];
  return Object.entries(properties).map(([name, raw]) => {
    const schema = isJsonObject(raw) ? raw : {};
    return {
      name,
      type: typeOf(schema),
      required: required.includes(name),
      description: typeof schema.description === "string" ? schema.description : "",
      default: schema.default === undefined ? "" : JSON.stringify(schema.default),
      rest: schema,
    };
  });
}

/** Reads the default as JSON, and as plain text where it is none. */
const readDefault = (text: string): Json => {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
};

function schemaOf(property: InputProperty): JsonObject {
  const { type: _t, format: _f, description: _d, default: _e, ...rest } = property.rest;
  const schema: JsonObject = { ...rest };
  if (property.type === "date" || property.type === "email") {
    schema.type = "string";
    schema.format = property.type;
  } else {
    schema.type = property.type;
    if (typeof property.rest.format === "string" && !FORMATS[property.rest.format])
      schema.format = property.rest.format;
  }
  if (property.description) schema.description = property.description;
  if (property.default.trim()) schema.default = readDefault(property.default);
  return schema;
}

export function withProperties(input: JsonObject, properties: InputProperty[]): JsonObject {
  const { properties: _p, required: _r, ...rest } = input;
  const next: JsonObject = { ...rest, type: "object" };
  next.properties = Object.fromEntries(properties.map((property) => [property.name, schemaOf(property)]));
  const required = properties.filter((property) => property.required).map((property) => property.name);
  if (required.length) next.required = required;
  return next;
}
