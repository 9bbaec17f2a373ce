import { describe, expect, it } from "vitest";
import type { Box } from "./geometry.ts";
import { drawn, type End, route } from "./route.ts";
import type { Point } from "./types.ts";

const box = (x: number, y: number): Box => ({ x, y, width: 208, height: 56 });
const out = (from: Box): End => ({ at: [from.x + from.width, from.y + 28], side: "right" });
const failure = (from: Box): End => ({ at: [from.x + 160, from.y + from.height], side: "bottom" });
const into = (to: Box): End => ({ at: [to.x, to.y + 28], side: "left" });

const under = (line: Point[], boxes: Box[]): number =>
  boxes.filter((item) =>
    line.some((point, index) => {
      const before = line[index - 1];
      if (!before) return false;
      const [x0, x1] = [Math.min(before[0], point[0]), Math.max(before[0], point[0])];
      const [y0, y1] = [Math.min(before[1], point[1]), Math.max(before[1], point[1])];
      return (
        x1 > item.x + 1 && x0 < item.x + item.width - 1 && y1 > item.y + 1 && y0 < item.y + item.height - 1
      );
    }),
  ).length;

describe("route", () => {
  const a = box(0, 0);
  const far = box(600, 0);

  it("is straight between two steps in a row", () => {
    expect(route(out(a), into(box(300, 0)), [a, box(300, 0)])).toEqual([
      [208, 28],
      [300, 28],
    ]);
  });

  it("goes round a step that stands between", () => {
    const boxes = [a, box(300, 0), far];
    expect(under(route(out(a), into(far), boxes), boxes)).toBe(0);
  });

  it("goes round a whole column", () => {
    const boxes = [a, far, ...[-80, 0, 80].map((y) => box(300, y))];
    expect(under(route(out(a), into(far), boxes), boxes)).toBe(0);
  });

  it("leaves a failure port downwards and enters from the left", () => {
    const below = box(400, 200);
    const line = route(failure(a), into(below), [a, below]);
    expect(line[1]?.[0]).toBe(160);
    expect(line.at(-2)?.[1]).toBe(below.y + 28);
    expect(under(line, [a, below])).toBe(0);
  });

  it("finds back to a step on the left without passing under either", () => {
    const back = box(-400, 160);
    expect(under(route(out(a), into(back), [a, back]), [a, back])).toBe(0);
  });

  it("consists of level and upright pieces only", () => {
    const line = route(out(a), into(box(500, 333)), [a, box(500, 333)]);
    line.slice(1).forEach((point, index) => {
      const before = line[index] as Point;
      expect(before[0] === point[0] || before[1] === point[1]).toBe(true);
    });
  });
});

describe("drawn", () => {
  it("rounds corners and finds the middle of the longest piece", () => {
    const { path, middle } = drawn([
      [0, 0],
      [100, 0],
      [100, 40],
    ]);
    expect(path).toBe("M0,0 L92,0 Q100,0 100,8 L100,40");
    expect(middle).toEqual([50, 0]);
  });
});
