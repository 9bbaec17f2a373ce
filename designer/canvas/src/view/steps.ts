/** What people do to steps, asking the rules first and saying why not. Shared by canvas, palette, outline and keys. */
import { addStep, connect, disconnect, insertIntoEdge, newStep, remove, type Wire } from "../core/edits.ts";
import { BODY_TOP, FRAME_PAD } from "../core/frames.ts";
import { type Box, placeBeside } from "../core/geometry.ts";
import { findStep, portsOf, successPorts } from "../core/graph.ts";
import { findRegion, removeRegion } from "../core/regions.ts";
import { freePlace } from "../core/room.ts";
import { mayConnect, mayInsert } from "../core/rules.ts";
import type { Edge, Point, Step, StepKind } from "../core/types.ts";
import type { Designer } from "./designer.ts";

const firstPort = (step: Step, kind: StepKind | undefined): string => {
  const ports = portsOf(step, kind);
  return successPorts(ports)[0] ?? ports[0] ?? "out";
};

/** The port a connection from this step takes when nobody named one: the first success port still free. */
export function nextPort(designer: Designer, key: string): string {
  const { document } = designer.editor;
  const step = findStep(document, key);
  if (!step) return "out";
  const ports = successPorts(portsOf(step, designer.kindOf(step.kind)));
  const used = new Set(document.edges.filter((edge) => edge.from === key).map((edge) => edge.port ?? "out"));
  return ports.find((port) => !used.has(port)) ?? ports[0] ?? "error";
}

/** The container a new step goes into: that of what it is wired to, else the one asked for. */
const parentFor = (designer: Designer, wire: Wire, asked: string | null): string | null => {
  const other = wire.from?.key ?? wire.to;
  return other === undefined ? asked : designer.frames.nesting.parent(other);
};

/** Adds a step of a kind near a place, where nothing lies under it. */
export function addOfKind(
  designer: Designer,
  kind: StepKind,
  near: Point,
  wire: Wire = {},
  asked: string | null = null,
): void {
  const { editor, frames } = designer;
  const parent = parentFor(designer, wire, asked);
  const plain = newStep(editor.document, kind, near);
  const fresh = parent ? { ...plain, parent } : plain;
  const { width, height } = frames.shape(fresh);
  const at = freePlace(frames, parent, inFrame(designer, parent, near), { x: 0, y: 0, width, height });
  const step = { ...fresh, at };
  if (!wire.to || portsOf(step, kind).length) {
    editor.run((doc) => addStep(doc, step, wire, firstPort(step, kind), designer.layout));
  } else {
    const { to: _, ...rest } = wire;
    editor.run((doc) => addStep(doc, step, rest, "out", designer.layout));
    designer.say(`"${kind.name}" has no way out, so it was not connected to what follows.`, "refused");
  }
  requestAnimationFrame(() => designer.canvas?.focus(step.key));
}

/** Below the head of the frame and right of its border, wherever the pointer was. */
function inFrame(designer: Designer, parent: string | null, [x, y]: Point): Point {
  const frame = parent ? designer.frames.boxOf(parent) : null;
  if (!parent || !frame) return [x, y];
  if (!designer.frames.nesting.children(parent).length) return placeInside(designer, parent);
  return [Math.max(x, frame.x + FRAME_PAD), Math.max(y, frame.y + BODY_TOP)];
}

/** Where the next step in a container goes when nobody pointed at a place: right of the last one. */
export function placeInside(designer: Designer, key: string): Point {
  const { frames } = designer;
  const boxes = frames.nesting.children(key).map((step) => frames.box(step));
  if (boxes.length) {
    const [last] = boxes.sort((a, b) => b.x + b.width - (a.x + a.width));
    return placeBeside(last as Box, "after");
  }
  const frame = frames.boxOf(key);
  return [(frame?.x ?? 0) + FRAME_PAD, (frame?.y ?? 0) + BODY_TOP];
}

/** Opens the picker for a step inside a container. */
export function pickInside(designer: Designer, key: string, screen: Point): void {
  designer.fold(key, false);
  const place = placeInside(designer, key);
  designer.screen.update({ picker: { screen, place, wire: {}, parent: key } });
}

/** A click in the palette: after the one selected step or into the selected container, else in the middle. */
export function addFromPalette(designer: Designer, kind: StepKind): void {
  const { selected, document } = designer.editor.get();
  const [only] = selected.size === 1 ? selected : [];
  const chosen = only ? findStep(document, only) : undefined;
  if (chosen && designer.frames.open(chosen)) {
    addOfKind(designer, kind, placeInside(designer, chosen.key), {}, chosen.key);
    return;
  }
  const near = chosen
    ? placeBeside(designer.frames.box(chosen), "after")
    : (designer.canvas?.middle() ?? [0, 0]);
  addOfKind(designer, kind, near, {}, chosen ? designer.frames.nesting.parent(chosen.key) : null);
}

export function tryConnect(designer: Designer, from: string, port: string, to: string): boolean {
  const answer = mayConnect(designer.editor.document, from, port, to, designer.kindOf);
  if (!answer.ok) {
    designer.say(answer.why, "refused");
    return false;
  }
  return designer.run((doc) => connect(doc, from, port, to));
}

export function tryInsert(designer: Designer, key: string, edge: Edge): boolean {
  const { document } = designer.editor;
  const step = findStep(document, key);
  const answer = mayInsert(document, key, edge.from, edge.to);
  if (!step || !answer.ok) {
    if (!answer.ok) designer.say(answer.why, "refused");
    return false;
  }
  return designer.run((doc) => insertIntoEdge(doc, key, edge, firstPort(step, designer.kindOf(step.kind))));
}

/** Deletes what is selected: steps with all they hold and notes, or a region, or else connections. */
export function deleteSelected(designer: Designer, heal = false): void {
  const { selected, edges, document } = designer.editor.get();
  const [only] = selected.size === 1 ? selected : [];
  const region = only ? findRegion(document, only) : undefined;
  if (region) designer.run((doc) => removeRegion(doc, region.key));
  else if (selected.size) {
    const order = document.steps.filter((step) => selected.has(step.key));
    const before =
      order.length === 1 ? document.edges.find((edge) => edge.to === order[0]?.key)?.from : undefined;
    const held = designer.frames.nesting.whole(selected).size - selected.size;
    designer.run((doc) => remove(doc, selected, heal));
    if (held) designer.say(alongWith(held));
    if (before) designer.canvas?.focus(before);
  } else if (edges.size) designer.run((doc) => disconnect(doc, edges));
}

const alongWith = (count: number): string =>
  `Deleted with the ${count === 1 ? "step" : `${count} steps`} inside. Undo brings all back.`;

/** Opens the step picker for a step that follows a port. */
export function pickAfter(designer: Designer, key: string, port: string, screen: Point): void {
  const step = findStep(designer.editor.document, key);
  if (!step) return;
  const place = placeBeside(designer.frames.box(step), "after");
  const below: Point = port === "error" || port === "timeout" ? [place[0], place[1] + 120] : place;
  designer.screen.update({ picker: { screen, place: below, wire: { from: { key, port } } } });
}
