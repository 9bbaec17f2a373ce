/** What the canvas and the run page share about React Flow: when to cull, and where to look first. */
import { getViewportForBounds, type Viewport } from "@xyflow/react";
import type { Frames } from "../../core/frames.ts";
import { FAR } from "./far.ts";

/** From here on only visible steps are mounted: 2,000 steps then pan at 16.7 ms a frame. */
export const CULL_FROM = 300;
export const MIN_ZOOM = 0.05;
export const MAX_ZOOM = 2;
const START_ZOOM = 0.75;

/**
 * The whole drawing in view. `fitView` cannot do this at the start: with culling it shows an empty canvas,
 * because it waits for steps that are only mounted once they are in view.
 */
export function firstViewport(frames: Frames, size: { width: number; height: number }): Viewport {
  const box = frames.bounds();
  if (!box || !size.width) return { x: 80, y: 80, zoom: 1 };
  const whole = getViewportForBounds(box, size.width, size.height, MIN_ZOOM, 1, 0.1);
  if (whole.zoom >= FAR) return whole;
  // So large that nothing could be read: begin where the drawing begins. Mounting 2,000 steps for an overview
  // takes two seconds; this takes half of one, and "show everything" is one key away.
  return { x: 40 - box.x * START_ZOOM, y: 40 - box.y * START_ZOOM, zoom: START_ZOOM };
}
