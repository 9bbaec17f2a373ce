/** Sizes and places on the drawing, in drawing units (CSS pixels at zoom 1). The style sheet uses the same numbers. */
import { failurePorts, successPorts } from "./graph.ts";
import type { Point } from "./types.ts";

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
export function shapeOf(ports: string[], size?: { width: number; height: number }): StepShape {
  const success = successPorts(ports);
  const failure = failurePorts(ports);
  const rows = success.length > 1 || (success.length === 1 && success[0] !== "out");
  const width = size?.width ?? STEP_WIDTH;
  const height = size?.height ?? (rows ? HEAD_HEIGHT + success.length * PORT_ROW + FOOT : HEAD_HEIGHT);
  const right = success.map((port, index) => ({
    port,
    side: "right" as const,
    x: width,
    y: rows ? HEAD_HEIGHT + index * PORT_ROW + PORT_ROW / 2 : HEAD_HEIGHT / 2,
  }));
  const bottom = failure.map((port, index) => ({
    port,
    side: "bottom" as const,
    x: width - 24 - (failure.length - 1 - index) * 24,
    y: height,
  }));
  return {
    width,
    height,
    input: { x: 0, y: HEAD_HEIGHT / 2 },
    ports: [...right, ...bottom],
    rows,
  };
}

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export const overlap = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/** Where a step goes that follows what lies in the box (or leads to it). */
export const placeBeside = ({ x, y, width }: Box, side: "after" | "before"): Point =>
  snap([side === "after" ? x + width + GAP : x - STEP_WIDTH - GAP, y]);
