/** ISO 8601 durations as the document stores them, and as people write and read them. */
const ISO =
  /^P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;
const UNITS: Record<string, number> = { w: 604_800, d: 86_400, h: 3_600, m: 60, s: 1 };
const WORDS =
  /(\d+(?:\.\d+)?)\s*(weeks?|wks?|w|days?|d|hours?|hrs?|h|minutes?|min|mins?|m|seconds?|secs?|s)\b/gi;

/** Seconds of an ISO duration; null when the text is not one. */
export function secondsOf(iso: string): number | null {
  const match = ISO.exec(iso);
  if (!match || iso === "P" || iso.endsWith("T")) return null;
  const [, weeks = "0", days = "0", hours = "0", minutes = "0", seconds = "0"] = match;
  return (
    Number(weeks) * 604_800 +
    Number(days) * 86_400 +
    Number(hours) * 3_600 +
    Number(minutes) * 60 +
    Number(seconds)
  );
}

/** "1 h 30 min" and "PT1H30M" alike become "PT1H30M"; null when it cannot be read. */
export function readDuration(text: string): string | null {
  const plain = text.trim();
  if (secondsOf(plain.toUpperCase()) !== null) return plain.toUpperCase();
  if (/^\d+(\.\d+)?$/.test(plain)) return isoOf(Number(plain));
  let seconds = 0;
  const rest = plain.replace(WORDS, (_, count: string, unit: string) => {
    seconds += Number(count) * (UNITS[unit.charAt(0).toLowerCase()] ?? 0);
    return "";
  });
  return rest.replace(/[\s,]|and/g, "") === "" && plain !== "" ? isoOf(seconds) : null;
}

export function isoOf(total: number): string {
  const days = Math.floor(total / 86_400);
  const hours = Math.floor((total % 86_400) / 3_600);
  const minutes = Math.floor((total % 3_600) / 60);
  const seconds = Math.round((total % 60) * 1000) / 1000;
  const time = `${hours ? `${hours}H` : ""}${minutes ? `${minutes}M` : ""}${seconds ? `${seconds}S` : ""}`;
  if (!days && !time) return "PT0S";
  return `P${days ? `${days}D` : ""}${time ? `T${time}` : ""}`;
}

/** "PT1H30M" -> "1 h 30 min"; text that is no duration comes back unchanged. */
export function spokenDuration(iso: string): string {
  const total = secondsOf(iso);
  if (total === null) return iso;
  const parts = [
    [Math.floor(total / 86_400), "d"],
    [Math.floor((total % 86_400) / 3_600), "h"],
    [Math.floor((total % 3_600) / 60), "min"],
    [Math.round((total % 60) * 1000) / 1000, "s"],
  ] as const;
  const shown = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count} ${unit}`);
  return shown.length ? shown.join(" ") : "0 s";
}
