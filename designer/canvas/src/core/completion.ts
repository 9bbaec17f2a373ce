/** Completion of expressions from the roots the server offers: `steps.charge.` lists the keys of that output. */
import { isJsonObject } from "./equal.ts";
import type { Json, JsonObject } from "./types.ts";

export interface Suggestion {
  text: string;
  /** A short look at the value behind it. */
  detail: string;
}

export interface Completion {
  /** Where the word being typed starts. */
  start: number;
  suggestions: Suggestion[];
}

export function brief(value: Json | undefined, limit = 48): string {
  const text = JSON.stringify(value) ?? "";
  return text.length > limit ? `${text.slice(0, limit - 1)}…` : text;
}

function follow(roots: JsonObject, chain: string): Json | undefined {
  let place: Json | undefined = roots;
  for (const part of chain.split(/\.|\[|\]/).filter(Boolean)) {
    if (Array.isArray(place)) place = place[Number(part)];
    else place = isJsonObject(place) ? place[part] : undefined;
  }
  return place;
}

/** Suggestions for the text before the caret; null when nothing fits there. */
export function complete(before: string, roots: JsonObject): Completion | null {
  const tail = /[A-Za-z_][\w.[\]]*\.?$|\.$/.exec(before)?.[0] ?? "";
  if (!tail || insideText(before)) return null;
  const dot = tail.lastIndexOf(".");
  const chain = dot < 0 ? "" : tail.slice(0, dot);
  const word = tail.slice(dot + 1);
  const place = chain ? follow(roots, chain) : roots;
  if (!isJsonObject(place)) return null;
  const suggestions = Object.entries(place)
    .filter(([name]) => name.startsWith(word) && name !== word && /^[A-Za-z_]\w*$/.test(name))
    .slice(0, 50)
    .map(([name, value]) => ({ text: name, detail: brief(value) }));
  return suggestions.length ? { start: before.length - word.length, suggestions } : null;
}

/** True when the caret is inside a plain string; inside the braces of an f-string it is not. */
function insideText(before: string): boolean {
  let quote = "";
  let formatted = false;
  let depth = 0;
  for (let index = 0; index < before.length; index += 1) {
    const letter = before.charAt(index);
    if (!quote && (letter === '"' || letter === "'")) {
      quote = letter;
      formatted = /[fF]/.test(before.charAt(index - 1));
      depth = 0;
    } else if (quote && letter === "\\") index += 1;
    else if (quote && formatted && letter === "{") depth += 1;
    else if (quote && formatted && letter === "}") depth = Math.max(0, depth - 1);
    else if (letter === quote && depth === 0) quote = "";
  }
  return quote !== "" && depth === 0;
}
