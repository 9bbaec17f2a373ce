/** Sizes and places on the drawing, in drawing units (CSS pixels at zoom 1). The style sheet uses the same numbers. */
import { failurePorts, portsOf, successPorts } from "./graph.ts";
import type { Document, Point, Step, StepKind } from "./types.ts";

export const GRID = 8;
export const STEP_WIDTH = 208;
export const HEAD_HEIGHT = 56;
export const PORT_ROW = 24;
export const HANDLE = 10;
const FOOT = 8;
const GAP = 80;

export type Side = "left" | "right" | "bottom";
export interface PortPlace {
  port: string;
  side: Side;
  x: number;
  y: number;
}
export interface StepShape {
  width: number;
  height: number;
  input: { x: number; y: number };
  ports: PortPlace[];
  /** True when the success ports have rows of their own with labels. */
  rows: boolean;
}

export const snap = ([x, y]: Point): Point => [Math.round(x / GRID) * GRID, Math.round(y / GRID) * GRID];
export const add = (a: Point, b: Point): Point => [a[0] + b[0], a[1] + b[1]];
export const minus = (a: Point, b: Point): Point => [a[0] - b[0], a[1] - b[1]];

/** Where the ports of a step sit: success on the right (rows when named), failure along the bottom. */
export function shapeOf(ports: string[]): StepShape {
  const success = successPorts(ports);
  const failure = failurePorts(ports);
  const rows = success.length > 1 || (success.length === 1 && success[0] !== "out");
  const height = rows ? HEAD_HEIGHT + success.length * PORT_ROW + FOOT : HEAD_HEIGHT;
  const right = success.map((port, index) => ({
    port,
    side: "right" as const,
    x: STEP_WIDTH,
    y: rows ? HEAD_HEIGHT + index * PORT_ROW + PORT_ROW / 2 : HEAD_HEIGHT / 2,
  }));
  const bottom = failure.map((port, index) => ({
    port,
    side: "bottom" as const,
    x: STEP_WIDTH - 24 - (failure.length - 1 - index) * 24,
    y: height,
  }));
  return {
    width: STEP_WIDTH,
    height,
    input: { x: 0, y: HEAD_HEIGHT / 2 },
    ports: [...right, ...bottom],
    rows,
  };
}

export const stepShape = (step: Step, kind: StepKind | undefined): StepShape => shapeOf(portsOf(step, kind));

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

const overlaps = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

type KindOf = (kind: string) => StepKind | undefined;

export const boxOf = (step: Step, kindOf: KindOf): Box => {
  const { width, height } = stepShape(step, kindOf(step.kind));
  return { x: step.at[0], y: step.at[1], width, height };
};

/** `wanted`, moved down until no step lies under it. */
export function freePlace(doc: Document, wanted: Point, kindOf: KindOf): Point {
  const taken = doc.steps.map((step) => boxOf(step, kindOf));
  let [x, y] = snap(wanted);
  const mine = (): Box => ({ x, y, width: STEP_WIDTH, height: HEAD_HEIGHT });
  for (let hit = taken.find((box) => overlaps(box, mine())); hit; ) {
    [x, y] = snap([x, hit.y + hit.height + GRID * 3]);
    hit = taken.find((box) => overlaps(box, mine()));
  }
  return [x, y];
}

/** Where a step goes that follows `step` (or leads to it). */
export const placeBeside = (step: Step, side: "after" | "before"): Point =>
  snap([step.at[0] + (side === "after" ? 1 : -1) * (STEP_WIDTH + GAP), step.at[1]]);

/** The corner box around all steps; null for an empty drawing. */
export function bounds(doc: Document, kindOf: KindOf): Box | null {
  const boxes: Box[] = [
    ...doc.steps.map((step) => boxOf(step, kindOf)),
    ...doc.notes.map((note) => ({ x: note.at[0], y: note.at[1], width: note.size[0], height: note.size[1] })),
  ];
  if (!boxes.length) return null;
  const x = Math.min(...boxes.map((box) => box.x));
  const y = Math.min(...boxes.map((box) => box.y));
  return {
    x,
    y,
    width: Math.max(...boxes.map((box) => box.x + box.width)) - x,
    height: Math.max(...boxes.map((box) => box.y + box.height)) - y,
  };
}
