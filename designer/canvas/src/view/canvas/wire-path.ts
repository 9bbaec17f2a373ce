import { type EdgeProps, getSmoothStepPath } from "@xyflow/react";
import { FAILURE_PORTS } from "../../core/graph.ts";
import { drawn } from "../../core/route.ts";
import type { WireEdge } from "./nodes.ts";

/** How far an end of the computed line may be from its port (half a handle), before a drag makes it stale. */
const NEAR = 8;

/** The computed line where it still ends at both ports; the plain curve while one of them is being dragged. */
export function wirePath(props: EdgeProps<WireEdge>): [path: string, x: number, y: number] {
  const line = props.data?.line ?? [];
  const [first, last] = [line[0], line.at(-1)];
  const near = (a: number, b: number): boolean => Math.abs(a - b) <= NEAR;
  if (
    first &&
    last &&
    near(first[0], props.sourceX) &&
    near(first[1], props.sourceY) &&
    near(last[0], props.targetX) &&
    near(last[1], props.targetY)
  ) {
    const { path, middle } = drawn(line);
    return [path, ...middle];
  }
  const [path, x, y] = getSmoothStepPath({ ...props, borderRadius: 8, offset: 20 });
  return [path, x, y];
}

/** Both canvases draw this one marker, see `ArrowHead`. */
export const ARROW = "url(#branchline-arrow)";

export const wireClass = (port: string): string =>
  FAILURE_PORTS.has(port) ? `wire wire-failure wire-${port}` : "wire";
