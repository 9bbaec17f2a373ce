/** Saving, running, publishing, files. */
import type { Designer } from "../designer.ts";
import { exportDocument } from "../files.ts";
import type { Action } from "./action.ts";

async function save(designer: Designer): Promise<void> {
  if (await designer.sync.flush()) designer.say("Saved.", "done");
}

export const WORKFLOW: Action[] = [
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
