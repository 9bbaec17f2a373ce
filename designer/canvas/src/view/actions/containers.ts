/** Grouping steps in containers and regions. */
import { foldSelected, markRegion, tryTakeOut, tryUnwrap, tryWrap } from "../nesting.ts";
import { type Action, chosen } from "./action.ts";

export const CONTAINERS: Action[] = [
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
