import path from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const root = path.dirname(fileURLToPath(import.meta.url));

const LANGUAGE = "new Intl.NumberFormat(domEnv ? nav.language : 'en-US')";

/**
 * uPlot throws when it is loaded where `navigator.language` is `en-US@posix`, as Chromium has it under
 * LANG=C. Studio writes its numbers in one way everywhere, so the charts need not ask.
 */
function withoutNavigatorLanguage(): Plugin {
  return {
    name: "uplot-language",
    transform(code, id) {
      if (!id.includes("uPlot.esm")) return;
      if (!code.includes(LANGUAGE)) this.error("uPlot has changed: see withoutNavigatorLanguage");
      return code.replace(LANGUAGE, "new Intl.NumberFormat('en-US')");
    },
  };
}

export default defineConfig({
  root,
  plugins: [withoutNavigatorLanguage()],
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
