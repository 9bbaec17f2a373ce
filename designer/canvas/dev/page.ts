import { readFileSync } from "node:fs";
import { nestedDocument, sampleDocument } from "./documents.ts";

interface Entry {
  file: string;
  css?: string[];
}

/** The page as the server renders it: styles, configuration, one module. */
export function page(url: URL): string {
  const manifest = JSON.parse(readFileSync("../../static/island/.vite/manifest.json", "utf8")) as Record<
    string,
    Entry
  >;
  const entry = manifest["src/main.tsx"] as Entry;
  const mode = url.pathname === "/watch" ? "watch" : "edit";
  const config = {
    mode,
    workspace: "demo",
    workflow: { "/big": "big", "/nested": "nested" }[url.pathname] ?? "order-payment",
    name: "Order payment",
    csrf: "t",
    base: "/api/v1/w/demo/",
    socket: "/ws/w/demo/",
    run: mode === "watch" ? "run-1" : null,
    document:
      mode === "watch" ? (url.searchParams.has("nested") ? nestedDocument() : sampleDocument()) : null,
    may: { edit: true, publish: true, run: true },
    pages: { runs: "/w/demo/runs/", run: "/watch?run={id}", versions: "/versions" },
  };
  const theme = url.searchParams.get("theme") ?? "light";
  const css = ["tokens.css", "base.css", "top-bar.css", ...(entry.css ?? []).map((file) => `island/${file}`)];
  return `<!doctype html><html lang="en" data-theme="${theme}"><head><meta charset="utf-8"><title>Canvas</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
${css.map((file) => `<link rel="stylesheet" href="/static/${file}">`).join("")}
<script type="module" src="/static/island/${entry.file}"></script></head>
<body><nav class="top-bar">Dev</nav><main class="full"><div id="canvas"></div></main>
<script type="application/json" id="canvas-config">${JSON.stringify(config)}</script></body></html>`;
}
