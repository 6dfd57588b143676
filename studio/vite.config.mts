import path from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const root = path.dirname(fileURLToPath(import.meta.url));

const LANGUAGE = "new Intl.NumberFormat(domEnv ? nav.language : 'en-US')";

/**
 * uPlot throws on load if `navigator.language` is `en-US@posix`, as in Chromium under LANG=C. Studio formats
 * its numbers the same way everywhere, so the charts don't need the language.
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
    // The page's content security policy allows no inline code, and the polyfill would be inline.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      onwarn(warning, warn) {
        // "use client" directives of libraries, which have no effect here.
        if (warning.code !== "MODULE_LEVEL_DIRECTIVE") warn(warning);
      },
    },
  },
});
