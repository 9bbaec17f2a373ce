/** A build plug-in: the drawing commands of the icons we use, without the 2,000 others and without their wrappers. */
import { readFileSync } from "node:fs";
import type { Plugin } from "vite";

const VIRTUAL = "virtual:icons";

const NAMES = `
alarm-clock-off arrow-right ban bell box boxes braces calendar check chevron-down chevron-right chevron-up
circle-check circle-question-mark circle-stop circle-x clipboard-check clock cloud-check cloud-off code command copy
corner-down-right cpu database download ellipsis eye file-text flag git-branch git-fork git-merge globe hourglass info
key keyboard layers link list-checks list-tree loader-circle locate lock mail mailbox map maximize megaphone merge
minus network octagon-x pause pencil play plus power power-off radio redo-2 repeat repeat-2 replace rocket rotate-cw route scan
scroll search send settings-2 shuffle signal slash sparkles split square square-function sticky-note terminal timer
trash-2 triangle-alert undo-2 unlink upload user user-check variable wand-sparkles waypoints wifi-off workflow x zap
arrow-up arrow-down form square-terminal
file-code calculator table list filter inbox phone message-square credit-card package truck users lock-open shield cloud server
webhook rss house
`;

const inner = (name: string): string | null => {
  try {
    const svg = readFileSync(`node_modules/lucide-static/icons/${name}.svg`, "utf8");
    return svg
      .slice(svg.indexOf(">", svg.indexOf("<svg")) + 1, svg.lastIndexOf("</svg>"))
      .replace(/\s*\n\s*/g, "");
  } catch {
    return null;
  }
};

/** Icons of states that pages draw by themselves: the canvas shows the same ones. */
const OWN = ["undo-broken"];
const SPRITE = "../../static/icons.svg";

const own = (name: string): string | null =>
  readFileSync(SPRITE, "utf8").match(new RegExp(`<symbol id="${name}"[^>]*>(.*?)</symbol>`, "s"))?.[1] ??
  null;

export const icons = (): Plugin => ({
  name: "branchline-icons",
  resolveId: (id) => (id === VIRTUAL ? `\0${VIRTUAL}` : null),
  load(id) {
    if (id !== `\0${VIRTUAL}`) return null;
    const found = [
      ...NAMES.trim()
        .split(/\s+/)
        .map((name) => [name, inner(name)] as const),
      ...OWN.map((name) => [name, own(name)] as const),
    ];
    const there = found.filter(([, markup]) => markup !== null);
    return `export default ${JSON.stringify(Object.fromEntries(there))}`;
  },
});
