import { createContext, useCallback, useContext, useSyncExternalStore } from "react";
import { StatusStore, type StepStatus } from "../../core/status.ts";

export const StatusContext = createContext(new StatusStore());

/** The status of one step; wakes only when that step changes. */
export function useStatus(key: string): StepStatus | undefined {
  const store = useContext(StatusContext);
  const subscribe = useCallback((listener: () => void) => store.subscribe(key, listener), [store, key]);
  return useSyncExternalStore(subscribe, () => store.get(key));
}

/** True when control went along this connection. */
export function useTaken(from: string, port: string, to: string): boolean {
  const store = useContext(StatusContext);
  const subscribe = useCallback(
    (listener: () => void) => {
      const stops = [store.subscribe(from, listener), store.subscribe(to, listener)];
      return () => {
        for (const stop of stops) stop();
      };
    },
    [store, from, to],
  );
  return useSyncExternalStore(subscribe, () => store.taken(from, port, to));
}
