import type { Json } from "./types.ts";

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Deep equality of JSON values; a key that holds `undefined` counts as absent. */
export function equal(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true;
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => equal(item, right[index]));
  }
  if (!isObject(left) || !isObject(right)) return false;
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  for (const key of keys) if (!equal(left[key], right[key])) return false;
  return true;
}

export const clone = <T>(value: T): T => structuredClone(value);

export const isExpression = (value: unknown): value is { $: string } =>
  isObject(value) && typeof value.$ === "string" && Object.keys(value).length === 1;

export const isSecret = (value: unknown): value is { $secret: string } =>
  isObject(value) && typeof value.$secret === "string" && Object.keys(value).length === 1;

export const isJsonObject = (value: unknown): value is { [key: string]: Json } => isObject(value);
