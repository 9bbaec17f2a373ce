/** What people do to steps, asking the rules first and saying why not. Shared by canvas, palette, outline and keys. */
import { addStep, connect, disconnect, insertIntoEdge, newStep, remove, type Wire } from "../core/edits.ts";
import { freePlace, placeBeside } from "../core/geometry.ts";
import { findStep, portsOf, successPorts } from "../core/graph.ts";
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

/** Adds a step of a kind; `at` is exact, otherwise a free place near it is found. */
export function addOfKind(designer: Designer, kind: StepKind, near: Point, wire: Wire = {}): void {
  const { editor } = designer;
  const at = freePlace(editor.document, near, designer.kindOf);
  const step = newStep(editor.document, kind, at);
  if (!wire.to || successPorts(portsOf(step, kind)).length || portsOf(step, kind).length) {
    editor.run((doc) => addStep(doc, step, wire, firstPort(step, kind)));
  } else {
    const { to: _, ...rest } = wire;
    editor.run((doc) => addStep(doc, step, rest));
    designer.say(`"${kind.name}" has no way out, so it was not connected to what follows.`, "refused");
  }
  requestAnimationFrame(() => designer.canvas?.focus(step.key));
}

/** A click in the palette: after the one selected step, else in the middle of the view. */
export function addFromPalette(designer: Designer, kind: StepKind): void {
  const { selected, document } = designer.editor.get();
  const [only] = selected.size === 1 ? selected : [];
  const after = only ? findStep(document, only) : undefined;
  const near = after ? placeBeside(after, "after") : (designer.canvas?.middle() ?? [0, 0]);
  addOfKind(designer, kind, near);
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

/** Deletes what is selected: steps and notes, or else connections. */
export function deleteSelected(designer: Designer, heal = false): void {
  const { selected, edges, document } = designer.editor.get();
  if (selected.size) {
    const order = document.steps.filter((step) => selected.has(step.key));
    const before =
      order.length === 1 ? document.edges.find((edge) => edge.to === order[0]?.key)?.from : undefined;
    designer.run((doc) => remove(doc, selected, heal));
    if (before) designer.canvas?.focus(before);
  } else if (edges.size) designer.run((doc) => disconnect(doc, edges));
}

/** Opens the step picker for a step that follows a port. */
export function pickAfter(designer: Designer, key: string, port: string, screen: Point): void {
  const step = findStep(designer.editor.document, key);
  if (!step) return;
  const place = placeBeside(step, "after");
  const below: Point = port === "error" || port === "timeout" ? [place[0], place[1] + 120] : place;
  designer.screen.update({ picker: { screen, place: below, wire: { from: { key, port } } } });
}
