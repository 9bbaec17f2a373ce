/** `npm run dev`: builds the island as it ships and serves it with a pretend API, under the policy of the real pages. */
import { existsSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { defineConfig, type Plugin } from "vite";
import { mockApi } from "./dev/mock.ts";
import { page } from "./dev/page.ts";

const CSP =
  "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self' ws:; img-src 'self' data:";
const STATIC = "../../static/";
const TYPES: Record<string, string> = { css: "text/css", js: "text/javascript", svg: "image/svg+xml" };

function serve(request: IncomingMessage, response: ServerResponse, next: () => void): void {
  const url = new URL(request.url ?? "/", "http://localhost");
  response.setHeader("Content-Security-Policy", CSP);
  if (url.pathname.startsWith("/api/")) void mockApi(request, response);
  else if (url.pathname.startsWith("/static/") && existsSync(STATIC + url.pathname.slice(8))) {
    const type = TYPES[url.pathname.split(".").pop() ?? ""] ?? "application/octet-stream";
    response.writeHead(200, { "content-type": type }).end(readFileSync(STATIC + url.pathname.slice(8)));
  } else if (["/edit", "/watch", "/big", "/nested"].includes(url.pathname)) {
    response.writeHead(200, { "content-type": "text/html" }).end(page(url));
  } else next();
}

const pretend: Plugin = {
  name: "branchline-pretend-server",
  configurePreviewServer(server) {
    server.middlewares.use(serve);
  },
};

export default defineConfig({
  plugins: [pretend],
  build: { outDir: "../../static/island" },
  preview: { host: "127.0.0.1", strictPort: true },
});
