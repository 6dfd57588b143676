import path from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const root = path.dirname(fileURLToPath(import.meta.url));

export default defineConfig({
  root,
  logLevel: "warn",
  esbuild: { jsx: "automatic" },
  build: {
    outDir: path.join(root, "../cli/dev/page"),
    emptyOutDir: true,
    target: "es2022",
    // The policy of the page allows no inline code, which the polyfill would be.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      onwarn(warning, warn) {
        // "use client" of libraries, which means nothing here.
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning);
      },
    },
  },
});
