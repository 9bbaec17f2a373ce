import type { Document } from "./core/types.ts";

/** What the page says to the island, in `<script type="application/json" id="canvas-config">`. */
export interface PageConfig {
  mode: "edit" | "watch";
  workspace: string;
  workflow: string;
  name: string;
  csrf: string;
  base: string;
  socket: string;
  run: string | null;
  document: Partial<Document> | null;
  may: { edit: boolean; publish: boolean; run: boolean };
  pages: { runs?: string; run?: string; versions?: string };
}

/** Raises when the page carries no configuration: then there is nothing to draw. */
export function readConfig(root: ParentNode = document): PageConfig {
  const text = root.querySelector("#canvas-config")?.textContent;
  if (!text) throw new Error("The page has no #canvas-config, so the canvas does not know what to show.");
  return JSON.parse(text) as PageConfig;
}

export const socketUrl = (path: string, here: Location = location): string =>
  new URL(path, here.href).href.replace(/^http/, "ws");
