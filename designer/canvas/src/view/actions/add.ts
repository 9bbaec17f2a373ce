/** Adding steps, notes and connections. */
import { addNote } from "../../core/edits.ts";
import { isContainer } from "../../core/nesting.ts";
import type { Point } from "../../core/types.ts";
import type { Designer } from "../designer.ts";
import { nextPort, pickInside } from "../steps.ts";
import { type Action, chosen } from "./action.ts";

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

function note(designer: Designer): void {
  const at =
    designer.pointer && designer.canvas
      ? designer.canvas.toDrawing(designer.pointer)
      : designer.canvas?.middle();
  designer.run((doc) => addNote(doc, at ?? [0, 0]));
  const [id] = designer.editor.get().selected;
  if (id) designer.screen.update({ renaming: id });
}

export const ADD: Action[] = [
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
];
