/** Key presses to actions. Fields keep their keys; only actions marked `everywhere` reach through them. */
import { ACTIONS, type Action } from "./actions.ts";
import type { Designer } from "./designer.ts";

export const MAC = /Mac|iPhone|iPad/.test(navigator.platform);

/** "Mod+Shift+Z" of an event, written as the action list writes it. */
export function keyName(event: KeyboardEvent): string {
  const parts: string[] = [];
  if (MAC ? event.metaKey : event.ctrlKey) parts.push("Mod");
  // With Alt a Mac types another letter, so there the place of the key counts and not what it prints.
  const printed = event.altKey && event.code.startsWith("Key") ? event.code.slice(3) : event.key;
  const key = printed.length === 1 ? printed.toUpperCase() : printed;
  const letter = /^[A-Z]$/.test(key);
  // The shift of "?" or "+" belongs to the keyboard layout, not to the shortcut.
  if (event.shiftKey && (key.length > 1 || letter)) parts.push("Shift");
  if (event.altKey) parts.push("Alt");
  return [...parts, key].join("+");
}

const BY_KEY = new Map<string, Action>(
  ACTIONS.flatMap((action) => action.keys.map((key) => [key, action] as const)),
);

const FIELD = "input, textarea, select, [contenteditable], [role=combobox]";

const CONTROL = "button, a, summary, [role=tab], [role=treeitem], [role=option], [role=listbox]";

/**
 * Tab adds a step on the canvas only: while a step has focus, or while nothing has it and the pointer is there.
 * Everywhere else it moves on, so that nobody is caught on this page.
 */
function tabIsOurs(designer: Designer, target: HTMLElement): boolean {
  if (target.closest(".react-flow__node")) return true;
  return designer.pointer !== null && !target.closest(`${FIELD}, ${CONTROL}`);
}

/** Keys that a focused control uses itself. */
function belongsToControl(name: string, target: HTMLElement): boolean {
  if (target.matches(".react-flow__node, .react-flow__pane") || !target.closest(CONTROL)) return false;
  return name === "Enter" || name.includes("Arrow") || name === " ";
}

export function listenToKeys(designer: Designer): () => void {
  const onKey = (event: KeyboardEvent): void => {
    const target = event.target instanceof HTMLElement ? event.target : document.body;
    const name = keyName(event);
    const action = BY_KEY.get(name);
    if (!action || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    if (designer.screen.get().picker) return;
    if (!action.everywhere && (target.closest(FIELD) || belongsToControl(name, target))) return;
    if (name === "Tab" && !tabIsOurs(designer, target)) return;
    if (action.changes && designer.editor.readOnly) return;
    event.preventDefault();
    action.run(designer, event);
  };
  window.addEventListener("keydown", onKey);
  return () => window.removeEventListener("keydown", onKey);
}

const SHOWN: Record<string, string> = {
  Mod: MAC ? "⌘" : "Ctrl",
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  Escape: "Esc",
};

export const shownKeys = (keys: string): string[] =>
  keys === "+" ? ["+"] : keys.split("+").map((part) => SHOWN[part] ?? part);
