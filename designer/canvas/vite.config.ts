import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { icons } from "./icons.ts";

// Relative base: the bundle works under any STATIC_URL because its chunks and workers are found from `import.meta.url`.
export default defineConfig({
  base: "./",
  plugins: [react(), icons()],
  build: {
    outDir: "../../static/island",
    emptyOutDir: true,
    manifest: true,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: "src/main.tsx" },
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
