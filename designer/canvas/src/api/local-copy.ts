/** What is not saved yet, kept in this browser until the server has it. */
import type { Document } from "../core/types.ts";

export interface Unsaved {
  revision: number;
  base: Document;
  mine: Document;
}

export interface LocalCopy {
  read(): Unsaved | null;
  write(unsaved: Unsaved): void;
  clear(): void;
}

/** Storage may be full or forbidden: the draft still works, it only loses this second net. */
export function localCopy(workspace: string, workflow: string, storage: Storage = localStorage): LocalCopy {
  const key = `branchline:draft:${workspace}:${workflow}`;
  const attempt = <T>(work: () => T): T | null => {
    try {
      return work();
    } catch {
      return null;
    }
  };
  return {
    read: () => attempt(() => JSON.parse(storage.getItem(key) ?? "null") as Unsaved | null),
    write: (unsaved) => void attempt(() => storage.setItem(key, JSON.stringify(unsaved))),
    clear: () => void attempt(() => storage.removeItem(key)),
  };
}
