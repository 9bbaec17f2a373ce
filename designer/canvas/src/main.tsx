import { createRoot } from "react-dom/client";
import { readConfig } from "./config.ts";
import "@xyflow/react/dist/base.css";
import "./style/index.css";

/** Who watches a run does not load the editor. */
async function start(place: HTMLElement): Promise<void> {
  const config = readConfig();
  const root = createRoot(place);
  if (config.mode === "watch") await (await import("./start-watching.tsx")).startWatching(root, config);
  else await (await import("./start-editing.tsx")).startEditing(root, config);
}

const place = document.getElementById("canvas");
if (place) void start(place);
