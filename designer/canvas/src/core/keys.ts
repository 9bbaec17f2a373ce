import type { Document } from "./types.ts";

export const KEY_PATTERN = /^[a-z][a-z0-9_]{0,62}$/;

/** A legal key made of a name: "Charge card!" -> "charge_card". */
export function keyFrom(name: string): string {
  const plain = name
    .normalize("NFKD")
    .replace(/[\u0300-\u036f]/g, "")
    .replaceAll("ß", "ss")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^[^a-z]+|_+$/g, "")
    .slice(0, 50)
    .replace(/_+$/, "");
  return plain || "step";
}

/** `wanted`, or the first of wanted_2, wanted_3, ... that is not taken. */
export function freeKey(wanted: string, taken: ReadonlySet<string>): string {
  if (!taken.has(wanted)) return wanted;
  let number = 2;
  while (taken.has(`${wanted}_${number}`)) number += 1;
  return `${wanted}_${number}`;
}

export const stepKeys = (doc: Document): Set<string> => new Set(doc.steps.map((step) => step.key));
export const noteKeys = (doc: Document): Set<string> => new Set(doc.notes.map((note) => note.key));

/** True when the key was made from the name, so renaming the step may rename the key too. */
export const keyFollowsName = (key: string, name: string): boolean => {
  const base = keyFrom(name);
  return key === base || (key.startsWith(`${base}_`) && /^\d+$/.test(key.slice(base.length + 1)));
};
