/** Regions: named groups of steps with the pattern they are meant to follow. */
import { type Command, command } from "./command.ts";
import { freeKey } from "./keys.ts";
import { nestingOf } from "./nesting.ts";
import type { Document, Region } from "./types.ts";

export const PATTERNS = ["sequence", "parallel", "event"] as const;
export type Pattern = (typeof PATTERNS)[number];
export const PATTERN_WORDS: Record<string, string> = {
  sequence: "Sequential",
  parallel: "Parallel",
  event: "Event-driven",
};

export const REGION_PREFIX = "region:";
export const regionId = (key: string): string => REGION_PREFIX + key;
export const isRegionId = (id: string): boolean => id.startsWith(REGION_PREFIX);
export const findRegion = (doc: Document, id: string): Region | undefined =>
  doc.regions.find((region) => regionId(region.key) === id);

export const regionName = (region: Region): string =>
  region.name || `${PATTERN_WORDS[region.pattern] ?? region.pattern} region`;

/** A region over the steps; what lies inside a chosen container belongs to it anyway. */
export function addRegion(doc: Document, keys: ReadonlySet<string>, pattern: Pattern): Command | null {
  const chosen = new Set(nestingOf(doc).tops(keys));
  const steps = doc.steps.filter((step) => chosen.has(step.key)).map((step) => step.key);
  if (!steps.length) return null;
  const key = freeKey("region", new Set(doc.regions.map((region) => region.key)));
  const region: Region = { key, pattern, steps };
  return command(
    "Mark as a region",
    doc,
    { ...doc, regions: [...doc.regions, region] },
    {
      select: [regionId(key)],
    },
  );
}

export function editRegion(doc: Document, key: string, fields: Partial<Region>): Command | null {
  const regions = doc.regions.map((region) => (region.key === key ? { ...region, ...fields } : region));
  return command("Edit region", doc, { ...doc, regions }, { intent: `region:${key}` });
}

export const removeRegion = (doc: Document, key: string): Command | null =>
  command(
    "Remove region",
    doc,
    { ...doc, regions: doc.regions.filter((region) => region.key !== key) },
    { select: [] },
  );
