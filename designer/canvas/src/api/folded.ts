/** Which containers this person has closed in this workflow: a matter of looking, so it stays in this browser. */
import type { PageConfig } from "../config.ts";

const at = ({ workspace, workflow }: PageConfig): string => `branchline:folded:${workspace}:${workflow}`;

export const folded = {
  read(config: PageConfig): ReadonlySet<string> {
    try {
      const known: unknown = JSON.parse(localStorage.getItem(at(config)) ?? "[]");
      return new Set(Array.isArray(known) ? known.filter((key) => typeof key === "string") : []);
    } catch {
      return new Set();
    }
  },
  /** A browser without storage forgets; nothing else depends on it. */
  write(config: PageConfig, keys: ReadonlySet<string>): void {
    try {
      if (keys.size) localStorage.setItem(at(config), JSON.stringify([...keys]));
      else localStorage.removeItem(at(config));
    } catch {}
  },
};
