/** From a JSON Schema with `x-ui` to the fields of a form. */
import { isExpression } from "./equal.ts";
import { toPython } from "./python.ts";
import type { Json, JsonObject, Schema, UiHints } from "./types.ts";

export interface Field {
  name: string;
  label: string;
  help: string;
  placeholder: string;
  widget: string;
  language: string;
  required: boolean;
  expression: boolean;
  schema: Schema;
  choices: Json[];
  /** What to call the choices, where their own spelling is not for people. */
  names?: Record<string, string>;
  default: Json | undefined;
}

const local = (root: Schema, ref: string): Schema => {
  const name = ref.replace(/^#\/\$defs\//, "");
  return root.$defs?.[name] ?? {};
};

/** Follows `$ref` and drops the `null` of an optional value, keeping what stands beside them. */
export function resolved(schema: Schema, root: Schema): Schema {
  let found = schema;
  if (found.$ref) found = { ...local(root, found.$ref), ...without(found, "$ref") };
  if (found.allOf?.length === 1)
    found = { ...resolved(found.allOf[0] as Schema, root), ...without(found, "allOf") };
  const options = found.anyOf ?? found.oneOf;
  if (options) {
    const real = options
      .map((item) => resolved(item, root))
      .filter((item) => item.type !== "null" && !isReference(item));
    if (real.length === 1) found = { ...real[0], ...without(found, "anyOf", "oneOf") };
  }
  return found;
}

/** The schema of `{"$": ...}` itself, which some models list as an alternative. */
const isReference = (schema: Schema): boolean =>
  schema.type === "object" &&
  Object.keys(schema.properties ?? {}).some((name) => name === "$" || name === "$secret");

function without(schema: Schema, ...names: (keyof Schema)[]): Schema {
  const copy = { ...schema };
  for (const name of names) delete copy[name];
  return copy;
}

const words = (name: string): string => {
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
};

const typeOf = (schema: Schema): string | undefined =>
  Array.isArray(schema.type) ? schema.type.find((type) => type !== "null") : schema.type;

export function widgetOf(schema: Schema): string {
  const hinted = schema["x-ui"]?.widget;
  if (hinted) return hinted;
  if (schema.enum || schema.const !== undefined) return "choice";
  if (schema.format === "duration") return "duration";
  switch (typeOf(schema)) {
    case "boolean":
      return "toggle";
    case "integer":
    case "number":
      return "number";
    case "string":
      return "text";
    case "array":
      return "list";
    case "object":
      return schema.properties ? "object" : "map";
    default:
      return "json";
  }
}

const choicesOf = (schema: Schema): Json[] => {
  if (schema.enum) return schema.enum;
  if (schema.const !== undefined) return [schema.const];
  const options = schema.anyOf ?? schema.oneOf ?? [];
  return options.flatMap((item) => (item.const === undefined ? (item.enum ?? []) : [item.const]));
};

export function fieldOf(name: string, raw: Schema, root: Schema, required: boolean): Field {
  const schema = resolved(raw, root);
  const ui: UiHints = schema["x-ui"] ?? {};
  const title =
    schema.title && schema.title.toLowerCase() !== words(name).toLowerCase() ? schema.title : words(name);
  return {
    name,
    label: ui.label ?? title,
    help: ui.help ?? schema.description ?? "",
    placeholder: ui.placeholder ?? "",
    widget: widgetOf(schema),
    language: ui.language ?? "",
    required,
    expression: ui.expression ?? true,
    schema,
    choices: choicesOf(schema),
    default: schema.default,
  };
}

/** The fields of an object schema, by `x-ui.order` and then as written. */
export function fieldsOf(schema: Schema, root: Schema = schema): Field[] {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([name, property]) =>
    fieldOf(name, property, root, required.has(name)),
  );
  const order = (field: Field): number => field.schema["x-ui"]?.order ?? 1000;
  return fields
    .map((field, index) => ({ field, index }))
    .sort((a, b) => order(a.field) - order(b.field) || a.index - b.index)
    .map(({ field }) => field);
}

/** The source that an expression control shows; null where a plain value stands. A condition is never a plain one. */
export function sourceOf(value: Json | undefined, field: Field): string | null {
  if (isExpression(value)) return value.$;
  return value === undefined && field.widget === "condition" ? "" : null;
}

/** A plain value turned into an expression. A text that stood for a condition was meant as its source. */
export function asExpression(value: Json | undefined, field: Field): { $: string } {
  if (value === undefined) return { $: "" };
  return { $: field.widget === "condition" && typeof value === "string" ? value : toPython(value) };
}

/** What is kept of a source that was written: an emptied condition is none. */
export const expressionOf = (source: string, field: Field): Json | undefined =>
  source === "" && field.widget === "condition" && !field.required ? undefined : { $: source };

/** A first value for a new item of a list: required text and choices are there, the rest is left out. */
export function firstValue(schema: Schema, root: Schema): Json {
  const real = resolved(schema, root);
  if (widgetOf(real) === "condition") return { $: "" };
  if (real.default !== undefined) return real.default;
  const choices = choicesOf(real);
  if (choices.length) return choices[0] ?? null;
  switch (typeOf(real)) {
    case "object": {
      const value: JsonObject = {};
      for (const field of fieldsOf(real, root)) {
        if (field.required) value[field.name] = firstValue(field.schema, root);
      }
      return value;
    }
    case "array":
      return [];
    case "boolean":
      return false;
    case "integer":
    case "number":
      return real.minimum ?? 0;
    default:
      return "";
  }
}
