// Finds the position in the project's own code that threw an error, from its stack. Source maps are on while
// a project's code runs, so the positions are those in the sources.

const path = require("node:path");
const { fileURLToPath } = require("node:url");

const ROOT = path.join(__dirname, "..");
/** This package's own code. Other files of a checkout, such as an example, count as a project's. */
const OURS = ["bin", "cli", "lib", "index.js", "binding.js"].map((name) => path.join(ROOT, name));
const PLACE = /^(file:\/\/.+|\/.+|[A-Za-z]:[\\/].+):(\d+):(\d+)$/;

/** @typedef {{ file: string, line: number, column: number, text: string }} Frame `text`: its line in the stack */

/**
 * @param {unknown} error
 * @returns {Frame[]} the frames of the project's code, innermost first
 */
function projectFrames(error) {
  return stackOf(error)
    .split("\n")
    .flatMap((text) => frameOf(text) ?? [])
    .filter(({ file }) => isProjects(file));
}

/**
 * @param {unknown} error
 * @returns {string} the stack without the message, whose lines may look like frames
 */
function stackOf(error) {
  try {
    const { stack, message } = /** @type {Error} */ (error);
    if (typeof stack !== "string") return "";
    const at = typeof message === "string" ? stack.indexOf(message) : -1;
    return at < 0 ? stack : stack.slice(at + message.length);
  } catch {
    return "";
  }
}

/**
 * @param {string} text `    at name (/file.ts:1:2)` or `    at /file.ts:1:2`
 * @returns {Frame | undefined}
 */
function frameOf(text) {
  const [, call] = text.match(/^\s+at (?:async )?(.*)$/) ?? [];
  if (call === undefined) return undefined;
  const place = call.endsWith(")") ? call.slice(call.indexOf(" (") + 2, -1) : call;
  const [, where = "", line, column] = place.match(PLACE) ?? [];
  if (where === "") return undefined;
  return { file: pathOf(where), line: Number(line), column: Number(column), text };
}

/** @param {string} where */
function pathOf(where) {
  try {
    return where.startsWith("file:") ? fileURLToPath(where) : path.normalize(where);
  } catch {
    return where;
  }
}

/** @param {string} file */
function isProjects(file) {
  if (file.split(path.sep).includes("node_modules")) return false;
  return !OURS.some((own) => file === own || file.startsWith(own + path.sep));
}

/**
 * @param {unknown} error
 * @param {string} [cwd]
 * @returns {string | undefined} `src/arkor/trainer.ts:12:5`
 */
function placeOf(error, cwd = process.cwd()) {
  const [first] = projectFrames(error);
  if (!first) return undefined;
  return `${shortPath(first.file, cwd)}:${first.line}:${first.column}`;
}

/**
 * @param {string} file
 * @param {string} [cwd]
 * @returns {string} relative if the file is in the project
 */
function shortPath(file, cwd = process.cwd()) {
  const whole = pathOf(file);
  const relative = path.relative(cwd, whole);
  return relative.startsWith("..") || path.isAbsolute(relative) ? whole : relative;
}

module.exports = { placeOf, projectFrames, shortPath };
