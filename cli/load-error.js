// Explains why an entry couldn't be imported, with the position in the sources. Node names only the bundle,
// or nothing.

const fs = require("node:fs");
const { SourceMap } = require("node:module");
const path = require("node:path");
const { CliError } = require("./errors.js");
const { shortPath } = require("./frames.js");
const { addCommand, packageManagerOf } = require("./init/packages.js");

/** Node prints the position of a link error before the stack, and marks it with carets. */
const UNLINKED = /^(\S.*):(\d+)\n.*\n( *)\^+\n/;

/**
 * @param {unknown} error the error of the import
 * @param {string} file the bundle
 * @returns {Promise<unknown>} the error with its position in the sources, or unchanged if it already has one
 */
async function explained(error, file) {
  if (!(error instanceof Error)) return error;
  const { code, message, stack = "" } = /** @type {NodeJS.ErrnoException} */ (error);
  const [, name] = message.match(/^Cannot find package '([^']+)' imported from /) ?? [];
  if (code === "ERR_MODULE_NOT_FOUND" && name !== undefined) {
    const at = importOf(name, file);
    const command = addCommand(await packageManagerOf(process.cwd()), name);
    const place = at === undefined ? "" : `${at}: `;
    const text = `${place}The package ${name} isn't installed. Install it with: ${command}`;
    return new CliError(text, { cause: error });
  }
  const [, source, line, indent = ""] = stack.match(UNLINKED) ?? [];
  if (!(error instanceof SyntaxError) || source === undefined) return error;
  const place = `${shortPath(source)}:${line}:${indent.length + 1}`;
  return new CliError(`${place}: ${message}`, { cause: error });
}

/**
 * @param {string} name a package
 * @param {string} file a bundle
 * @returns {string | undefined} the position in the sources that imports the package
 */
function importOf(name, file) {
  try {
    const map = new SourceMap(JSON.parse(fs.readFileSync(`${file}.map`, "utf8")));
    const lines = fs.readFileSync(file, "utf8").split("\n");
    const quoted = [`"${name}"`, `"${name}/`];
    const isImport = (/** @type {string} */ text) =>
      /\b(?:import|from)\b/.test(text) && quoted.some((specifier) => text.includes(specifier));
    const line = lines.findIndex(isImport);
    if (line < 0) return undefined;
    const found = map.findEntry(line, lines[line]?.indexOf(`"${name}`) ?? 0);
    if (!("originalSource" in found)) return undefined;
    const source = path.resolve(path.dirname(file), found.originalSource);
    return `${shortPath(source)}:${found.originalLine + 1}:${found.originalColumn + 1}`;
  } catch {
    // A shipped bundle may have no source map.
    return undefined;
  }
}

module.exports = { explained };
