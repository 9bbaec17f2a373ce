/**
 * A way for a connection that does not run under steps. It is computed when places change, never while dragging.
 * A few candidates are compared: bends near either end, and detours above or below what is in the way.
 */
import type { Box, Side } from "./geometry.ts";
import type { Point } from "./types.ts";

export interface End {
  at: Point;
  side: Side;
}

/** Room between a line and a step, and the straight piece at either end, in drawing units. */
const CLEAR = 16;
const STUB = 24;
/** What crossing a step costs against a longer way. */
const CROSSING = 10_000;
const BEND = 12;

type Line = Point[];

const crosses = ([ax, ay]: Point, [bx, by]: Point, box: Box): boolean =>
  Math.max(ax, bx) > box.x + 1 &&
  Math.min(ax, bx) < box.x + box.width - 1 &&
  Math.max(ay, by) > box.y + 1 &&
  Math.min(ay, by) < box.y + box.height - 1;

const same = (a: Point, b: Point): boolean => a[0] === b[0] && a[1] === b[1];

/** Without doubled points first, because a doubled corner looks straight to either side; then without straight ones. */
const simplified = (line: Line): Line =>
  line
    .filter((point, index) => index === 0 || !same(line[index - 1] as Point, point))
    .filter((point, index, distinct) => {
      const before = distinct[index - 1];
      const after = distinct[index + 1];
      if (!before || !after) return true;
      const level = before[1] === point[1] && point[1] === after[1];
      const upright = before[0] === point[0] && point[0] === after[0];
      return !level && !upright;
    });

function cost(line: Line, boxes: Box[]): number {
  let total = (line.length - 2) * BEND;
  for (let index = 1; index < line.length; index += 1) {
    const from = line[index - 1] as Point;
    const to = line[index] as Point;
    total += Math.abs(from[0] - to[0]) + Math.abs(from[1] - to[1]);
    for (const box of boxes) if (crosses(from, to, box)) total += CROSSING;
  }
  return total;
}

/** Where a line may run level: just above and just below each step near the way. */
const lanes = (boxes: Box[], y: number): number[] => {
  const all = boxes.flatMap((box) => [box.y - CLEAR, box.y + box.height + CLEAR]);
  return all.sort((a, b) => Math.abs(a - y) - Math.abs(b - y)).slice(0, 8);
};

function candidates(source: End, target: End, near: Box[]): Line[] {
  const [sx, sy] = source.at;
  const [tx, ty] = target.at;
  const down = source.side === "bottom";
  // The first free place after the source's own straight piece.
  const [x1, y1] = down ? [sx, sy + STUB] : [sx + STUB, sy];
  const x2 = tx - STUB;
  const found: Line[] = [];
  if (down) found.push([source.at, [sx, ty], target.at]);
  const middle = (x1 + x2) / 2;
  if (x2 >= x1)
    for (const x of [middle, x1, x2]) found.push([source.at, [x1, y1], [x, y1], [x, ty], target.at]);
  for (const y of lanes(near, (sy + ty) / 2)) {
    found.push([source.at, [x1, y1], [x1, y], [x2, y], [x2, ty], target.at]);
  }
  // Back to the left: round through the gap between the two rows.
  const gap = (y1 + ty) / 2;
  found.push([source.at, [x1, y1], [x1, gap], [x2, gap], [x2, ty], target.at]);
  return found;
}

const legal = (line: Line, source: End, target: End): boolean => {
  const second = line[1] as Point;
  const last = line.at(-2) as Point;
  const leaves = source.side === "bottom" ? second[1] >= source.at[1] : second[0] >= source.at[0];
  return leaves && last[0] <= target.at[0];
};

/** The cheapest line from port to port; `boxes` are all steps, the two ends included. */
export function route(source: End, target: End, boxes: Box[]): Line {
  const reach = 400;
  const left = Math.min(source.at[0], target.at[0]) - reach;
  const right = Math.max(source.at[0], target.at[0]) + reach;
  const top = Math.min(source.at[1], target.at[1]) - reach;
  const bottom = Math.max(source.at[1], target.at[1]) + reach;
  const near = boxes.filter(
    (box) => box.x < right && box.x + box.width > left && box.y < bottom && box.y + box.height > top,
  );
  let best: { line: Line; cost: number } | null = null;
  for (const raw of candidates(source, target, near)) {
    const line = simplified(raw);
    if (!legal(line, source, target)) continue;
    const price = cost(line, near);
    if (!best || price < best.cost) best = { line, cost: price };
  }
  return best?.line ?? [source.at, target.at];
}

/** The line as an SVG path with rounded corners, and the middle of its longest piece for buttons. */
export function drawn(line: Line, radius = 8): { path: string; middle: Point } {
  const [first] = line;
  if (!first) return { path: "", middle: [0, 0] };
  let path = `M${first[0]},${first[1]}`;
  for (let index = 1; index < line.length - 1; index += 1) {
    const [before, corner, after] = [line[index - 1], line[index], line[index + 1]] as [Point, Point, Point];
    const enter = toward(corner, before, radius);
    const leave = toward(corner, after, radius);
    path += ` L${enter[0]},${enter[1]} Q${corner[0]},${corner[1]} ${leave[0]},${leave[1]}`;
  }
  const last = line.at(-1) as Point;
  return { path: `${path} L${last[0]},${last[1]}`, middle: longest(line) };
}

function toward([x, y]: Point, [tx, ty]: Point, most: number): Point {
  const length = Math.abs(tx - x) + Math.abs(ty - y);
  const step = Math.min(most, length / 2);
  return [x + Math.sign(tx - x) * step, y + Math.sign(ty - y) * step];
}

function longest(line: Line): Point {
  let best: { length: number; middle: Point } = { length: -1, middle: [0, 0] };
  for (let index = 1; index < line.length; index += 1) {
    const [a, b] = [line[index - 1], line[index]] as [Point, Point];
    const length = Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1]);
    if (length > best.length) best = { length, middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2] };
  }
  return best.middle;
}
