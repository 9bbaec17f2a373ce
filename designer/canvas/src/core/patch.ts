import { clone } from "./equal.ts";
import type { Json, PatchOperation } from "./types.ts";

const part = (text: string): string => text.replaceAll("~1", "/").replaceAll("~0", "~");

type Container = Record<string, Json> | Json[];

function descend(root: Json, path: string[]): Container {
  let place: Json = root;
  for (const name of path) {
    const next: Json | undefined = Array.isArray(place)
      ? place[Number(name)]
      : (place as Record<string, Json> | null)?.[name];
    if (next === undefined)
      throw new Error(`The fix names ${path.join("/")}, which is not in this document.`);
    place = next;
  }
  if (typeof place !== "object" || place === null)
    throw new Error("The fix does not point at an object or list.");
  return place;
}

function applyOne(root: Json, { op, path, value }: PatchOperation): void {
  const names = path.split("/").slice(1).map(part);
  const last = names.pop() ?? "";
  const place = descend(root, names);
  if (Array.isArray(place)) {
    const index = last === "-" ? place.length : Number(last);
    if (op === "add") place.splice(index, 0, value ?? null);
    else if (op === "remove") place.splice(index, 1);
    else place[index] = value ?? null;
  } else if (op === "remove") delete place[last];
  else place[last] = value ?? null;
}

/** JSON Patch (RFC 6902: add, remove, replace) on a copy. Throws when a path is not there. */
export function patched<T>(document: T, operations: PatchOperation[]): T {
  const copy = clone(document);
  for (const operation of operations) applyOne(copy as Json, operation);
  return copy;
}
