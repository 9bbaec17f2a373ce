const UNITS: [seconds: number, word: string][] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
];

/** "3 s ago"; times in milliseconds. Whole five seconds at first, so that the words do not flicker. */
export function ago(then: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - then) / 1000));
  if (seconds < 3) return "just now";
  for (const [size, word] of UNITS) if (seconds >= size) return `${Math.floor(seconds / size)} ${word} ago`;
  return `${seconds} s ago`;
}
