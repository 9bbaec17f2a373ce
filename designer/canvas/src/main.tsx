import { createRoot } from "react-dom/client";
import { readConfig } from "./config.ts";
import { startEditing, startWatching } from "./start.tsx";
import "@xyflow/react/dist/base.css";
import "./style/index.css";

const place = document.getElementById("canvas");
if (place) {
  const config = readConfig();
  const root = createRoot(place);
  void (config.mode === "watch" ? startWatching(root, config) : startEditing(root, config));
}
