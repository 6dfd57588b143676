// An esbuild plugin that keeps each bundled module's own location: `import.meta.url`, `dirname`, `filename`
// and `resolve`, `__dirname` and `__filename`.
"use strict";

const fs = require("node:fs");
const { urlFrom } = require("./packages.js");

const SCRIPT = /\.[cm]?[jt]sx?$/;
const NEEDS_LOCATION = /\bmeta\b|__dirname|__filename/;
const HASHBANG = /^#!.*\n/;
/**
 * The prefix that this plugin adds to the first line of a module. `inSource` subtracts its length from
 * columns.
 */
const PREFIX = /^var __arkor_meta = __arkor_locate\("[^"]*"\);/;

/** Replaces `import.meta`, `__dirname` and `__filename` with a variable of each module. */
const DEFINE = {
  "import.meta": "__arkor_meta",
  __dirname: "__arkor_meta.dirname",
  __filename: "__arkor_meta.filename",
};

/** Added at the top of the bundle, where `import.meta` is the bundle's. Modules are located relative to it. */
const BANNER = [
  'import { createRequire as __arkor_createRequire } from "node:module";',
  'import { dirname as __arkor_dirname } from "node:path";',
  'import { fileURLToPath as __arkor_fileURLToPath } from "node:url";',
  "const __arkor_require = __arkor_createRequire(import.meta.url);",
  "const __arkor_locate = (place) => {",
  "  const { href: url } = new URL(place, import.meta.url);",
  "  const filename = __arkor_fileURLToPath(url);",
  "  const resolve = (name) =>",
  "    /^\\.{0,2}\\//.test(name) ? new URL(name, url).href : import.meta.resolve(name);",
  "  return { __proto__: null, dirname: __arkor_dirname(filename), filename, resolve, url };",
  "};",
].join("\n");

/**
 * @param {string} directory where the bundle will be written
 * @returns {import("esbuild").Plugin}
 */
function location(directory) {
  return {
    name: "arkor-location",
    setup(build) {
      build.onLoad({ filter: /.*/, namespace: "file" }, async (args) => {
        // Reading a FIFO blocks until something writes to it.
        const found = await fs.promises.stat(args.path).catch(() => undefined);
        if (found && !found.isFile()) {
          return { errors: [{ text: `${args.path} is not a regular file` }] };
        }
        if (!found || !SCRIPT.test(args.path)) return undefined;
        const source = (await fs.promises.readFile(args.path, "utf8")).replace(/^\ufeff/, "");
        if (!NEEDS_LOCATION.test(source)) return { contents: source, loader: "default" };
        const prefix = `var __arkor_meta = __arkor_locate("${urlFrom(directory, args.path)}");`;
        const [hashbang = ""] = source.match(HASHBANG) ?? [];
        // Insert it on the same line, so that line numbers match the source.
        const contents = `${hashbang}${prefix}${source.slice(hashbang.length)}`;
        return { contents, loader: "default" };
      });
    },
  };
}

/**
 * @template {Pick<import("esbuild").Location, "column" | "lineText">} T
 * @param {T} location the location of an error, with its column counted from 0
 * @returns {T} the same location in the source file
 */
function inSource(location) {
  const { column, lineText } = location;
  const [prefix = ""] = lineText.match(PREFIX) ?? [];
  const start = Math.max(0, column - prefix.length);
  return { ...location, column: start, lineText: lineText.slice(prefix.length) };
}

module.exports = { BANNER, DEFINE, inSource, location };
