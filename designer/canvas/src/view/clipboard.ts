/** The clipboard of the browser, holding the JSON of steps. */
import { copyOf, fromText, paste, toText } from "../core/clipboard.ts";
import { PASTE_SHIFT, remove } from "../core/edits.ts";
import type { Point } from "../core/types.ts";
import type { Designer } from "./designer.ts";

let lastPasted = "";
let pastes = 0;

/** Text that is pasted again and again walks down and right, so that copies do not hide each other. */
function placeFor(text: string, at: Point | null): { at: Point } | { shift: Point } {
  pastes = text === lastPasted ? pastes + 1 : 1;
  lastPasted = text;
  if (at && pastes === 1) return { at };
  return { shift: [PASTE_SHIFT[0] * pastes, PASTE_SHIFT[1] * pastes] };
}

export function selectionText(designer: Designer): string | null {
  const { document, selected } = designer.editor.get();
  return selected.size ? toText(copyOf(document, selected)) : null;
}

export function pasteText(designer: Designer, text: string): void {
  const parsed = fromText(text);
  if (!parsed.ok) {
    designer.say(`Nothing to paste. ${parsed.why}`, "refused");
    return;
  }
  const here = designer.pointer && designer.canvas ? designer.canvas.toDrawing(designer.pointer) : null;
  designer.run((doc) => paste(doc, parsed.document, placeFor(text, here)));
}

export function duplicate(designer: Designer): void {
  const { document, selected } = designer.editor.get();
  designer.run((doc) => paste(doc, copyOf(document, selected), { shift: PASTE_SHIFT }));
}

const inText = (): boolean => {
  const focused = globalThis.document.activeElement;
  const typing =
    focused instanceof HTMLElement && focused.matches("input, textarea, select, [contenteditable]");
  return typing || !(globalThis.document.getSelection()?.isCollapsed ?? true);
};

const dialogOpen = (): boolean => globalThis.document.querySelector("dialog[open]") !== null;

/** Listens to copy, cut and paste of the page; returns how to stop. */
export function listenToClipboard(designer: Designer): () => void {
  const onCopy = (event: ClipboardEvent): void => {
    const text = inText() || dialogOpen() ? null : selectionText(designer);
    if (!text) return;
    event.clipboardData?.setData("text/plain", text);
    event.preventDefault();
    if (event.type === "cut") designer.run((doc) => remove(doc, designer.editor.get().selected));
  };
  const onPaste = (event: ClipboardEvent): void => {
    const text = event.clipboardData?.getData("text/plain");
    if (inText() || dialogOpen() || !text) return;
    event.preventDefault();
    pasteText(designer, text);
  };
  globalThis.document.addEventListener("copy", onCopy);
  globalThis.document.addEventListener("cut", onCopy);
  globalThis.document.addEventListener("paste", onPaste);
  return () => {
    globalThis.document.removeEventListener("copy", onCopy);
    globalThis.document.removeEventListener("cut", onCopy);
    globalThis.document.removeEventListener("paste", onPaste);
  };
}
