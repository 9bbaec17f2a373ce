/** Selecting, and walking along the connections. */
import { noteId } from "../../core/edits.ts";
import { reachable, reversed } from "../../core/graph.ts";
import { type Direction, walk } from "../../core/walk.ts";
import type { Designer } from "../designer.ts";
import { type Action, chosen } from "./action.ts";

function selectAll(designer: Designer): void {
  const { document } = designer.editor;
  designer.editor.select([
    ...document.steps.map((step) => step.key),
    ...document.notes.map((item) => noteId(item.key)),
  ]);
}

const takeAll = (up: boolean) => (designer: Designer) => {
  const { document, selected } = designer.editor.get();
  const graph = up ? reversed(document) : document;
  const all = new Set(selected);
  for (const key of chosen(designer)) for (const other of reachable(graph, key)) all.add(other);
  designer.editor.select(all);
};

const walkTo = (direction: Direction) => (designer: Designer) => {
  const { document, selected } = designer.editor.get();
  const from = [...selected].at(-1) ?? document.steps[0]?.key;
  const { collapsed } = designer.screen.get();
  const to = selected.size && from ? walk(document, from, direction, collapsed) : from;
  if (!to) return;
  designer.editor.select([to]);
  designer.canvas?.focus(to);
};

export const SELECT: Action[] = [
  { id: "all", label: "Select all", group: "Select", keys: ["Mod+A"], run: selectAll },
  {
    id: "clear",
    label: "Clear the selection",
    group: "Select",
    keys: ["Escape"],
    run: (d) => d.editor.select([]),
  },
  {
    id: "upstream",
    label: "Select everything upstream",
    group: "Select",
    keys: ["Shift+ArrowLeft"],
    run: takeAll(true),
  },
  {
    id: "downstream",
    label: "Select everything downstream",
    group: "Select",
    keys: ["Shift+ArrowRight"],
    run: takeAll(false),
  },
  {
    id: "left",
    label: "Walk to the step before",
    group: "Select",
    keys: ["ArrowLeft"],
    hidden: true,
    run: walkTo("left"),
  },
  {
    id: "right",
    label: "Walk to the step after",
    group: "Select",
    keys: ["ArrowRight"],
    hidden: true,
    run: walkTo("right"),
  },
  {
    id: "up",
    label: "Walk to the step above",
    group: "Select",
    keys: ["ArrowUp"],
    hidden: true,
    run: walkTo("up"),
  },
  {
    id: "down",
    label: "Walk to the step below",
    group: "Select",
    keys: ["ArrowDown"],
    hidden: true,
    run: walkTo("down"),
  },
];
