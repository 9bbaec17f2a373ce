/** Looking around: finding, zooming, panels. */
import { tidyUp } from "../tidy.ts";
import type { Action } from "./action.ts";

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

export const VIEW: Action[] = [
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
];
