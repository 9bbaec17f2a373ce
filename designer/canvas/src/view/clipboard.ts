/** The clipboard of the browser, holding the JSON of steps. */
import { copyOf, fromText, paste, toText } from "../core/clipboard.ts";
import { PASTE_SHIFT, remove } from "../core/edits.ts";
import { MAX_DEPTH, nestingOf } from "../core/nesting.ts";
import type { Document, Point } from "../core/types.ts";
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
  const parent = parentFor(designer, parsed.document);
  if (parent === false) return;
  designer.run((doc) => paste(doc, parsed.document, placeFor(text, here), parent, designer.layout));
}

/** The container under the pointer, else the one selected container; false when it cannot hold as much depth. */
function parentFor(designer: Designer, pasted: Document): string | null | false {
  const { selected } = designer.editor.get();
  const [only] = selected.size === 1 ? selected : [];
  const into =
    (designer.pointer && designer.canvas?.under(designer.pointer)) ??
    (designer.pointer || !designer.frames.open(designer.frames.nesting.step(only ?? ""))
      ? null
      : (only ?? null));
  if (!into) return null;
  const inner = nestingOf(pasted);
  const depth = Math.max(...inner.children(null).map((step) => inner.height(step.key)));
  if (designer.frames.nesting.around(into).length + 1 + depth <= MAX_DEPTH) return into;
  designer.say(`Containers lie at most ${MAX_DEPTH} deep in each other.`, "refused");
  return false;
}

export function duplicate(designer: Designer): void {
  const { document, selected } = designer.editor.get();
  const { nesting } = designer.frames;
  const [first] = nesting.tops(selected);
  const parent = first ? nesting.parent(first) : null;
  designer.run((doc) =>
    paste(doc, copyOf(document, selected), { shift: PASTE_SHIFT }, parent, designer.layout),
  );
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
