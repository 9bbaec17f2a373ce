/** Which step lies in which container. A parent that is missing, or that closes a circle, counts as none. */
import type { Document, Step } from "./types.ts";

export const CONTAINERS: ReadonlySet<string> = new Set(["for_each", "repeat", "scope"]);
/** As deep as the server lets containers lie in each other. */
export const MAX_DEPTH = 8;

export const isContainer = (step: Step | undefined): boolean =>
  step !== undefined && CONTAINERS.has(step.kind);

const NONE: readonly Step[] = [];

export class Nesting {
  readonly #steps: ReadonlyMap<string, Step>;
  readonly #parents = new Map<string, string>();
  readonly #children = new Map<string | null, Step[]>();

  constructor(steps: readonly Step[]) {
    this.#steps = new Map(steps.map((step) => [step.key, step]));
    for (const step of steps) {
      const parent = this.#real(step);
      if (parent) this.#parents.set(step.key, parent);
      const list = this.#children.get(parent);
      if (list) list.push(step);
      else this.#children.set(parent, [step]);
    }
  }

  #real(step: Step): string | null {
    const seen = new Set([step.key]);
    let above: Step | undefined = step;
    while (above?.parent) {
      if (seen.has(above.parent)) return null;
      seen.add(above.parent);
      above = this.#steps.get(above.parent);
    }
    return step.parent && isContainer(this.#steps.get(step.parent)) ? step.parent : null;
  }

  step = (key: string): Step | undefined => this.#steps.get(key);
  parent = (key: string): string | null => this.#parents.get(key) ?? null;
  children = (key: string | null): readonly Step[] => this.#children.get(key) ?? NONE;

  /** The containers around a step, the nearest first. */
  around(key: string): string[] {
    const found: string[] = [];
    for (let above = this.parent(key); above; above = this.parent(above)) found.push(above);
    return found;
  }

  /** Everything inside, at any depth, the step itself left out. */
  inside(key: string): Step[] {
    const found: Step[] = [];
    const open = [key];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      for (const child of this.children(next)) {
        found.push(child);
        open.push(child.key);
      }
    }
    return found;
  }

  /** How many containers deep the deepest step inside lies; 0 for a step that holds nothing. */
  height = (key: string): number =>
    Math.max(0, ...this.children(key).map((child) => 1 + this.height(child.key)));

  /** The chosen steps without those that lie in another chosen one. */
  tops = (keys: ReadonlySet<string>): string[] =>
    [...keys].filter((key) => this.#steps.has(key) && !this.around(key).some((above) => keys.has(above)));

  /** The chosen steps with everything inside them. */
  whole = (keys: ReadonlySet<string>): Set<string> =>
    new Set([...keys].flatMap((key) => [key, ...this.inside(key).map((step) => step.key)]));
}

const known = new WeakMap<readonly Step[], Nesting>();

/** The nesting of a drawing, computed once per list of steps. */
export function nestingOf(doc: Pick<Document, "steps">): Nesting {
  const old = known.get(doc.steps);
  if (old) return old;
  const made = new Nesting(doc.steps);
  known.set(doc.steps, made);
  return made;
}
