/** How well `query` matches `text`: 0 = not at all; a start of a word beats the middle, the middle beats scattered letters. */
export function score(query: string, text: string): number {
  const wanted = query.trim().toLowerCase();
  const have = text.toLowerCase();
  if (!wanted) return 1;
  const at = have.indexOf(wanted);
  if (at === 0) return 100;
  if (at > 0) return /[\s_.-]/.test(have.charAt(at - 1)) ? 80 : 60;
  let from = 0;
  for (const letter of wanted) {
    from = have.indexOf(letter, from) + 1;
    if (from === 0) return 0;
  }
  return 20;
}

/** The items that match, best first; equal ones keep their order. */
export function found<T>(items: T[], query: string, texts: (item: T) => string[]): T[] {
  const scored = items.map((item) => {
    const [main = "", ...others] = texts(item);
    const rest = others.map((text) => (score(query, text) >= 60 ? score(query, text) / 2 : 0));
    return { item, points: Math.max(score(query, main), ...rest) };
  });
  return scored
    .filter(({ points }) => points > 0)
    .sort((left, right) => right.points - left.points)
    .map(({ item }) => item);
}
