/** JSON literals as Python source and back: what the switch between literal and expression needs. */
import { isJsonObject } from "./equal.ts";
import type { Json } from "./types.ts";

export function toPython(value: Json | undefined): string {
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(toPython).join(", ")}]`;
  if (isJsonObject(value)) {
    const pairs = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${toPython(item)}`);
    return `{${pairs.join(", ")}}`;
  }
  return String(value);
}

const CONSTANTS: Record<string, Json> = { None: null, True: true, False: false };

/** The JSON value of a plain literal; undefined when the source computes something. */
export function fromPython(source: string): Json | undefined {
  const text = source.trim();
  if (text in CONSTANTS) return CONSTANTS[text] as Json;
  const quoted = /^'([^'\\]*)'$/.exec(text);
  if (quoted) return quoted[1] as string;
  try {
    return JSON.parse(
      text
        .replace(/\bNone\b/g, "null")
        .replace(/\bTrue\b/g, "true")
        .replace(/\bFalse\b/g, "false"),
    ) as Json;
  } catch {
    return undefined;
  }
}
