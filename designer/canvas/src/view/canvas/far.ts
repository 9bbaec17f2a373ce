import { useStore } from "@xyflow/react";

/** Below this zoom nobody can read a step; plain boxes without edges keep 2,000 steps at 60 frames a second. */
export const FAR = 0.25;
export const useFar = (): boolean => useStore((state) => state.transform[2] < FAR);
