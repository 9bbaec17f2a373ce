import { useCallback, useRef, useSyncExternalStore } from "react";
import type { Store } from "../core/store.ts";

/** Re-renders only when the chosen part changes; `choose` must answer the same value for the same state. */
export function useChosen<T, R>(store: Store<T>, choose: (state: T) => R): R {
  const choice = useRef(choose);
  choice.current = choose;
  const read = useCallback(() => choice.current(store.get()), [store]);
  return useSyncExternalStore(store.subscribe, read);
}

export const useStore = <T>(store: Store<T>): T => useSyncExternalStore(store.subscribe, store.get);
