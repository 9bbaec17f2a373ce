import { type EdgeProps, getSmoothStepPath } from "@xyflow/react";
import { FAILURE_PORTS } from "../../core/graph.ts";
import type { WireEdge } from "./nodes.ts";

export const wirePath = (props: EdgeProps<WireEdge>) =>
  getSmoothStepPath({ ...props, borderRadius: 8, offset: 20 });

/** Both canvases draw this one marker, see `ArrowHead`. */
export const ARROW = "url(#branchline-arrow)";

export const wireClass = (port: string): string =>
  FAILURE_PORTS.has(port) ? `wire wire-failure wire-${port}` : "wire";
