/** Renaming, copying, deleting, moving a little, undo. */
import { nudge, toggleDisabled } from "../../core/edits.ts";
import { GRID } from "../../core/geometry.ts";
import type { Point } from "../../core/types.ts";
import { duplicate, pasteText, selectionText } from "../clipboard.ts";
import type { Designer } from "../designer.ts";
import { deleteSelected } from "../steps.ts";
import { type Action, chosen } from "./action.ts";

function rename(designer: Designer): void {
  const [key] = chosen(designer);
  if (key) designer.screen.update({ renaming: key });
}

function copy(designer: Designer): void {
  const text = selectionText(designer);
  if (text) void navigator.clipboard.writeText(text).then(() => designer.say("Copied as JSON."));
}

const pasteFrom = (designer: Designer): void =>
  void navigator.clipboard.readText().then(
    (text) => pasteText(designer, text),
    () => designer.say("The browser did not give the clipboard. Press Ctrl+V instead.", "refused"),
  );

function undo(designer: Designer): void {
  const label = designer.editor.undo();
  designer.say(label ? `Undone: ${label}` : "Nothing to undo.");
}

function redo(designer: Designer): void {
  const label = designer.editor.redo();
  designer.say(label ? `Done again: ${label}` : "Nothing to redo.");
}

const move = (by: Point) => (designer: Designer) => {
  designer.run((doc) => nudge(doc, designer.editor.get().selected, by));
};

export const EDIT: Action[] = [
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
  { id: "undo", label: "Undo", group: "Edit", keys: ["Mod+Z"], changes: true, run: undo },
  { id: "redo", label: "Redo", group: "Edit", keys: ["Mod+Y", "Mod+Shift+Z"], changes: true, run: redo },
  { id: "copy", label: "Copy as JSON", group: "Edit", keys: [], run: copy },
  { id: "paste", label: "Paste from the clipboard", group: "Edit", keys: [], changes: true, run: pasteFrom },
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
];
