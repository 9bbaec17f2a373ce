/** What people do with containers and regions, asking the rules first. Shared by canvas, keys, dialogs and inspector. */
import { moveTo, putInto, takeOut, unwrap, wrap } from "../core/containers.ts";
import { selectedSteps } from "../core/editor.ts";
import { findStep, incoming, outgoing } from "../core/graph.ts";
import { isContainer } from "../core/nesting.ts";
import { addRegion, type Pattern } from "../core/regions.ts";
import { mayPutInto, mayWrap } from "../core/rules.ts";
import type { Point } from "../core/types.ts";
import type { Designer } from "./designer.ts";

const chosen = (designer: Designer): Set<string> => new Set(selectedSteps(designer.editor.get()));

const refuse = (designer: Designer, why: string): false => {
  designer.say(why, "refused");
  return false;
};

const crossing = (designer: Designer): number => designer.editor.document.edges.length;

/** Moves steps into a container or out to the level of `parent`. */
export function tryPutInto(
  designer: Designer,
  keys: ReadonlySet<string>,
  parent: string | null,
  intent?: string,
): boolean {
  const answer = mayPutInto(designer.editor.document, keys, parent);
  if (!answer.ok) return refuse(designer, answer.why);
  if (parent) designer.fold(parent, false);
  const before = crossing(designer);
  const done = designer.run((doc) => putInto(doc, keys, parent, designer.layout, intent));
  const lost = before - crossing(designer);
  const where = parent ? `Moved into "${findStep(designer.editor.document, parent)?.name}".` : "Moved out.";
  if (done) designer.say(lost > 0 ? `${where} ${lostText(lost)}` : where);
  return done;
}

const lostText = (count: number): string =>
  count === 1
    ? "One connection could not cross the border and is gone."
    : `${count} connections could not cross the border and are gone.`;

export function tryTakeOut(designer: Designer): void {
  const { nesting } = designer.frames;
  const keys = chosen(designer);
  const inner = nesting.tops(keys).filter((key) => nesting.parent(key));
  const [first] = inner;
  if (first === undefined) {
    refuse(designer, "Nothing selected lies in a container.");
    return;
  }
  const parent = nesting.parent(nesting.parent(first) ?? "");
  const same = new Set(inner.filter((key) => nesting.parent(key) === nesting.parent(first)));
  const answer = mayPutInto(designer.editor.document, same, parent);
  if (!answer.ok) refuse(designer, answer.why);
  else designer.run((doc) => takeOut(doc, same, designer.layout));
  designer.canvas?.focus(first);
}

export function tryWrap(designer: Designer, kindName: string): void {
  const kind = designer.kindOf(kindName);
  const keys = chosen(designer);
  if (!kind) {
    refuse(designer, `No step kind "${kindName}" is registered here.`);
    return;
  }
  const answer = mayWrap(designer.editor.document, keys, kind);
  if (!answer.ok) refuse(designer, answer.why);
  else if (designer.run((doc) => wrap(doc, keys, kind, designer.layout))) {
    const [made] = designer.editor.get().selected;
    requestAnimationFrame(() => made && designer.canvas?.focus(made));
  }
}

export function tryUnwrap(designer: Designer): void {
  const keys = [...chosen(designer)].filter((key) => isContainer(findStep(designer.editor.document, key)));
  const [key] = keys;
  if (key === undefined) {
    refuse(designer, "Select the container to dissolve.");
    return;
  }
  designer.run((doc) => unwrap(doc, key, designer.layout));
  const [first] = designer.editor.get().selected;
  requestAnimationFrame(() => first && designer.canvas?.focus(first));
}

export function markRegion(designer: Designer, pattern: Pattern = "sequence"): void {
  if (!chosen(designer).size) refuse(designer, "Select the steps of the region first.");
  else designer.run((doc) => addRegion(doc, chosen(designer), pattern));
}

/** Opens or closes the selected containers. */
export function foldSelected(designer: Designer): void {
  const { document } = designer.editor;
  const keys = [...chosen(designer)].filter((key) => isContainer(findStep(document, key)));
  const [first] = keys;
  if (first === undefined) return;
  const close = !designer.screen.get().collapsed.has(first);
  for (const key of keys) designer.fold(key, close);
  requestAnimationFrame(() => designer.canvas?.focus(first));
}

/**
 * Where steps that are dragged to a place would go: a container's key, "" for the open drawing, null to stay.
 * Steps that are connected inside stay and stretch their frame: dragging only makes room.
 */
export function dropTarget(designer: Designer, keys: ReadonlySet<string>, at: Point): string | null {
  const { frames } = designer;
  const { nesting } = frames;
  const [first, ...others] = nesting.tops(keys);
  if (first === undefined) return null;
  const from = nesting.parent(first);
  if (others.some((key) => nesting.parent(key) !== from)) return null;
  const into = frames.under(at, keys);
  if (into === from) return null;
  const leaving = from !== null && !(into !== null && nesting.around(into).includes(from));
  if (leaving && connectedInside(designer, keys)) return null;
  return into ?? "";
}

const connectedInside = (designer: Designer, keys: ReadonlySet<string>): boolean => {
  const { document } = designer.editor;
  return [...keys].some((key) =>
    [
      ...incoming(document, key).map((edge) => edge.from),
      ...outgoing(document, key).map((edge) => edge.to),
    ].some((other) => !keys.has(other)),
  );
};

/** The end of a drag: new places, and another container where they were dropped into one. One undo step. */
export function dropSteps(
  designer: Designer,
  places: ReadonlyMap<string, Point>,
  target: string | null,
): void {
  const keys = new Set([...places.keys()].filter((key) => designer.frames.nesting.step(key)));
  designer.editor.seal();
  designer.run((doc) => moveTo(doc, places, designer.layout, target === null));
  if (target !== null) tryPutInto(designer, keys, target || null, "drag");
}
