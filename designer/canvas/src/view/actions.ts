/** Every action with its name and keys: one list for the keyboard, the command palette and the help page. */

import { selectedSteps } from "../core/editor.ts";
import { addNote, noteId, nudge, toggleDisabled } from "../core/edits.ts";
import { GRID } from "../core/geometry.ts";
import { reachable, reversed } from "../core/graph.ts";
import { isContainer } from "../core/nesting.ts";
import type { Point } from "../core/types.ts";
import { type Direction, walk } from "../core/walk.ts";
import { duplicate, pasteText, selectionText } from "./clipboard.ts";
import type { Designer } from "./designer.ts";
import { exportDocument } from "./files.ts";
import { foldSelected, markRegion, tryTakeOut, tryUnwrap, tryWrap } from "./nesting.ts";
import { deleteSelected, nextPort, pickInside } from "./steps.ts";
import { tidyUp } from "./tidy.ts";

export interface Action {
  id: string;
  label: string;
  group: "Add" | "Edit" | "Select" | "View" | "Workflow";
  /** `Mod` is Ctrl, or Cmd on a Mac. Several alternatives are all accepted. */
  keys: string[];
  /** Works even while typing in a field. */
  everywhere?: boolean;
  changes?: boolean;
  hidden?: boolean;
  run(designer: Designer, event?: KeyboardEvent): void;
}

const chosen = (designer: Designer): string[] => selectedSteps(designer.editor.get());

function openPicker(designer: Designer): void {
  const focused = document.activeElement;
  // Only keyboard users have a step in focus visibly; for them the new step follows it.
  const step =
    focused instanceof HTMLElement && focused.matches(".react-flow__node:focus-visible") ? focused : null;
  const key = step?.dataset.id;
  if (key && isEmptyContainer(designer, key)) {
    addInside(designer, key);
    return;
  }
  const screen: Point = step
    ? [step.getBoundingClientRect().right + 12, step.getBoundingClientRect().top]
    : (designer.pointer ?? [window.innerWidth / 2 - 150, window.innerHeight / 3]);
  const place = designer.canvas?.toDrawing(screen) ?? [0, 0];
  const wire = key && !key.startsWith("note:") ? { from: { key, port: nextPort(designer, key) } } : {};
  const parent = step ? null : (designer.canvas?.under(screen) ?? null);
  designer.screen.update({ picker: { screen, place, wire, parent } });
}

const isEmptyContainer = (designer: Designer, key: string): boolean => {
  const step = designer.frames.nesting.step(key);
  return isContainer(step) && !designer.frames.nesting.children(key).length;
};

/** The picker beside the head of a container, for a step inside it. */
function addInside(designer: Designer, wanted?: string): void {
  const key = wanted ?? chosen(designer).find((item) => isContainer(designer.frames.nesting.step(item)));
  if (!key) {
    designer.say("Select a container first: a For each, a Repeat or a Scope.", "refused");
    return;
  }
  const box = document.querySelector(`[data-id="${CSS.escape(key)}"]`)?.getBoundingClientRect();
  pickInside(designer, key, box ? [box.left + 24, box.top + 64] : [window.innerWidth / 2 - 150, 200]);
}

function rename(designer: Designer): void {
  const [key] = chosen(designer);
  if (key) designer.screen.update({ renaming: key });
}

const walkTo = (direction: Direction) => (designer: Designer) => {
  const { document, selected } = designer.editor.get();
  const from = [...selected].at(-1) ?? document.steps[0]?.key;
  const { collapsed } = designer.screen.get();
  const to = selected.size && from ? walk(document, from, direction, collapsed) : from;
  if (!to) return;
  designer.editor.select([to]);
  designer.canvas?.focus(to);
};

const move = (by: Point) => (designer: Designer) => {
  designer.run((doc) => nudge(doc, designer.editor.get().selected, by));
};

const takeAll = (up: boolean) => (designer: Designer) => {
  const { document, selected } = designer.editor.get();
  const graph = up ? reversed(document) : document;
  const all = new Set(selected);
  for (const key of chosen(designer)) for (const other of reachable(graph, key)) all.add(other);
  designer.editor.select(all);
};

function copy(designer: Designer): void {
  const text = selectionText(designer);
  if (text) void navigator.clipboard.writeText(text).then(() => designer.say("Copied as JSON."));
}

const pasteFrom = (designer: Designer): void =>
  void navigator.clipboard.readText().then(
    (text) => pasteText(designer, text),
    () => designer.say("The browser did not give the clipboard. Press Ctrl+V instead.", "refused"),
  );

function note(designer: Designer): void {
  const at =
    designer.pointer && designer.canvas
      ? designer.canvas.toDrawing(designer.pointer)
      : designer.canvas?.middle();
  designer.run((doc) => addNote(doc, at ?? [0, 0]));
  const [id] = designer.editor.get().selected;
  if (id) designer.screen.update({ renaming: id });
}

function undo(designer: Designer): void {
  const label = designer.editor.undo();
  designer.say(label ? `Undone: ${label}` : "Nothing to undo.");
}

function redo(designer: Designer): void {
  const label = designer.editor.redo();
  designer.say(label ? `Done again: ${label}` : "Nothing to redo.");
}

function selectAll(designer: Designer): void {
  const { document } = designer.editor;
  designer.editor.select([
    ...document.steps.map((step) => step.key),
    ...document.notes.map((item) => noteId(item.key)),
  ]);
}

async function save(designer: Designer): Promise<void> {
  if (await designer.sync.flush()) designer.say("Saved.", "done");
}

/** F6 goes round the panels, so that Tab may belong to the canvas. */
function nextPanel(backwards: boolean): void {
  const panels = [...document.querySelectorAll<HTMLElement>("[data-panel]")].filter(
    (panel) => panel.offsetParent,
  );
  const at = panels.findIndex((panel) => panel.contains(document.activeElement));
  const next = panels[(at + (backwards ? -1 : 1) + panels.length) % panels.length];
  const target = next?.querySelector<HTMLElement>(
    "[data-first], .react-flow__node[tabindex='0'], input, button:not([disabled]), [tabindex='0']",
  );
  (target ?? next)?.focus();
}

const CONTAINER_ACTIONS: Action[] = [
  {
    id: "scope",
    label: "Group in a scope",
    group: "Edit",
    keys: ["Mod+G"],
    changes: true,
    run: (d) => tryWrap(d, "scope"),
  },
  {
    id: "for-each",
    label: "Group in a For each",
    group: "Edit",
    keys: ["Mod+Alt+G"],
    changes: true,
    run: (d) => tryWrap(d, "for_each"),
  },
  {
    id: "repeat",
    label: "Group in a Repeat",
    group: "Edit",
    keys: [],
    changes: true,
    run: (d) => tryWrap(d, "repeat"),
  },
  {
    id: "dissolve",
    label: "Dissolve the container, keep its steps",
    group: "Edit",
    keys: ["Mod+Shift+G"],
    changes: true,
    run: tryUnwrap,
  },
  {
    id: "into",
    label: "Move into a container…",
    group: "Edit",
    keys: ["M"],
    changes: true,
    run: (d) => chosen(d).length && d.open("into"),
  },
  {
    id: "out",
    label: "Take out of the container",
    group: "Edit",
    keys: ["Shift+M"],
    changes: true,
    run: tryTakeOut,
  },
  { id: "fold", label: "Open or close the container", group: "View", keys: ["E"], run: foldSelected },
  {
    id: "region",
    label: "Mark as a region",
    group: "Edit",
    keys: ["Shift+R"],
    changes: true,
    run: (d) => markRegion(d),
  },
];

export const ACTIONS: Action[] = [
  { id: "add", label: "Add a step", group: "Add", keys: ["Tab"], changes: true, run: openPicker },
  { id: "note", label: "Add a note", group: "Add", keys: ["Shift+S"], changes: true, run: note },
  {
    id: "inside",
    label: "Add a step inside the container",
    group: "Add",
    keys: ["I"],
    changes: true,
    run: (d) => addInside(d),
  },
  {
    id: "connect",
    label: "Connect to…",
    group: "Add",
    keys: ["C"],
    changes: true,
    run: (d) => chosen(d).length && d.open("connect"),
  },
  { id: "open", label: "Open settings", group: "Edit", keys: ["Enter"], run: (d) => d.openInspector() },
  { id: "rename", label: "Rename", group: "Edit", keys: ["F2"], changes: true, run: rename },
  {
    id: "disable",
    label: "Disable or enable",
    group: "Edit",
    keys: ["D"],
    changes: true,
    run: (d) => void d.run((doc) => toggleDisabled(doc, new Set(chosen(d)))),
  },
  { id: "duplicate", label: "Duplicate", group: "Edit", keys: ["Mod+D"], changes: true, run: duplicate },
  {
    id: "delete",
    label: "Delete",
    group: "Edit",
    keys: ["Delete", "Backspace"],
    changes: true,
    run: (d) => deleteSelected(d),
  },
  {
    id: "heal",
    label: "Delete and heal the connection",
    group: "Edit",
    keys: ["Mod+Delete", "Mod+Backspace"],
    changes: true,
    run: (d) => deleteSelected(d, true),
  },
  ...CONTAINER_ACTIONS,
  { id: "undo", label: "Undo", group: "Edit", keys: ["Mod+Z"], changes: true, run: undo },
  { id: "redo", label: "Redo", group: "Edit", keys: ["Mod+Y", "Mod+Shift+Z"], changes: true, run: redo },
  { id: "copy", label: "Copy as JSON", group: "Edit", keys: [], run: copy },
  { id: "paste", label: "Paste from the clipboard", group: "Edit", keys: [], changes: true, run: pasteFrom },
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
  {
    id: "nudge-left",
    label: "Nudge left",
    group: "Edit",
    keys: ["Alt+ArrowLeft"],
    changes: true,
    hidden: true,
    run: move([-GRID, 0]),
  },
  {
    id: "nudge-right",
    label: "Nudge right",
    group: "Edit",
    keys: ["Alt+ArrowRight"],
    changes: true,
    hidden: true,
    run: move([GRID, 0]),
  },
  {
    id: "nudge-up",
    label: "Nudge up",
    group: "Edit",
    keys: ["Alt+ArrowUp"],
    changes: true,
    hidden: true,
    run: move([0, -GRID]),
  },
  {
    id: "nudge-down",
    label: "Nudge down",
    group: "Edit",
    keys: ["Alt+ArrowDown"],
    changes: true,
    hidden: true,
    run: move([0, GRID]),
  },
  { id: "find", label: "Find a step", group: "View", keys: ["Mod+F"], run: (d) => d.open("find") },
  {
    id: "commands",
    label: "Command palette",
    group: "View",
    keys: ["Mod+K"],
    everywhere: true,
    run: (d) => d.open("commands"),
  },
  { id: "help", label: "Show the keys", group: "View", keys: ["?"], run: (d) => d.open("help") },
  {
    id: "outline",
    label: "Outline or canvas",
    group: "View",
    keys: ["O"],
    run: (d) => d.screen.update({ outline: !d.screen.get().outline }),
  },
  {
    id: "tidy",
    label: "Tidy up",
    group: "View",
    keys: ["Shift+Alt+T"],
    changes: true,
    run: (d) => void tidyUp(d),
  },
  { id: "zoom-in", label: "Zoom in", group: "View", keys: ["+", "="], run: (d) => d.canvas?.zoom("in") },
  { id: "zoom-out", label: "Zoom out", group: "View", keys: ["-"], run: (d) => d.canvas?.zoom("out") },
  { id: "zoom-full", label: "Zoom to 100 %", group: "View", keys: ["0"], run: (d) => d.canvas?.zoom("full") },
  { id: "fit", label: "Show everything", group: "View", keys: ["1"], run: (d) => d.canvas?.fit() },
  {
    id: "panel",
    label: "Next panel",
    group: "View",
    keys: ["F6"],
    everywhere: true,
    run: () => nextPanel(false),
  },
  {
    id: "panel-back",
    label: "Previous panel",
    group: "View",
    keys: ["Shift+F6"],
    everywhere: true,
    run: () => nextPanel(true),
  },
  {
    id: "save",
    label: "Save now",
    group: "Workflow",
    keys: ["Mod+S"],
    everywhere: true,
    run: (d) => void save(d),
  },
  {
    id: "run",
    label: "Run…",
    group: "Workflow",
    keys: ["Mod+Enter"],
    everywhere: true,
    run: (d) => d.open("run"),
  },
  {
    id: "publish",
    label: "Publish…",
    group: "Workflow",
    keys: [],
    changes: true,
    run: (d) => d.open("publish"),
  },
  { id: "export", label: "Export as JSON", group: "Workflow", keys: [], run: exportDocument },
  {
    id: "import",
    label: "Import JSON…",
    group: "Workflow",
    keys: [],
    changes: true,
    run: (d) => d.open("import"),
  },
];
