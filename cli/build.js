// `arkor build`, and the build that precedes every run.

const fs = require("node:fs");
const path = require("node:path");
const { DEFAULT_ENTRY, bundle, esbuildErrors } = require("../lib/bundle.js");
const { inSource } = require("../lib/bundle/location.js");
const { isFile } = require("../lib/files.js");
const { oneLine } = require("../lib/printable.js");
const { CliError } = require("./errors.js");
const { arkorCommand } = require("./invocation.js");

/** The output of `arkor build`, relative to the project. */
const BUILT = ".arkor/build/index.mjs";

/** @typedef {import("../lib/bundle.js").Bundle} Bundle */

/**
 * `arkor build`: bundles the entry into `.arkor/build/index.mjs`.
 * @param {string} [entry] absolute, or relative to the project, which is the working directory
 * @returns {Promise<Bundle>}
 * @throws {CliError} if the entry is missing, has an error, or exports no trainer
 */
function build(entry) {
  return buildInto(sourceOf(entry), path.resolve(BUILT));
}

/**
 * Builds the bundle for a run from the current sources. If the entry is a bundle that `arkor build` wrote,
 * it's used unchanged, because it may have been shipped without its sources.
 * @param {string} [entry] as in {@link build}
 * @returns {Promise<Bundle>}
 */
async function buildForRun(entry) {
  const source = sourceOf(entry);
  if (path.dirname(source) === path.resolve(path.dirname(BUILT)))
    return { file: source, notes: [] };
  return buildInto(source);
}

/** @param {string | undefined} entry */
function sourceOf(entry) {
  const source = path.resolve(entry ?? DEFAULT_ENTRY);
  if (isFile(source)) return source;
  const isShipped = entry === undefined && fs.existsSync(BUILT);
  const hint = isShipped
    ? ` To run the bundle that is here: ${arkorCommand(`start ${BUILT}`)}`
    : "";
  throw new CliError(
    `Build entry not found: ${source}. ` +
      `Create src/arkor/index.ts or pass an explicit entry argument.${hint}`,
  );
}

/**
 * @param {string} source
 * @param {string} [outfile]
 * @returns {Promise<Bundle>}
 */
async function buildInto(source, outfile) {
  try {
    return await bundle(source, process.cwd(), outfile);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const details = await codeFrames(error);
    throw new CliError(message, { cause: error, ...(details !== undefined && { details }) });
  } finally {
    // esbuild runs in a process of its own, which would stay idle during the whole training.
    await require("esbuild").stop();
  }
}

/**
 * Formats esbuild's errors with the source lines that they're about. The first one gets only its source line,
 * because the rest is in the message.
 * @param {unknown} error the error that `bundle` threw
 * @returns {Promise<string | undefined>} undefined if the error isn't from esbuild
 */
async function codeFrames(error) {
  const cause = error instanceof Error ? error.cause : undefined;
  const errors = esbuildErrors(cause);
  if (errors.length === 0) return undefined;
  const messages = errors.map((one) => ({ ...shown(one), notes: one.notes.map(shown) }));
  const { stderr } = process;
  const frames = await require("esbuild").formatMessages(messages, {
    kind: "error",
    color: Boolean(stderr.isTTY && stderr.hasColors()),
    ...(stderr.isTTY && { terminalWidth: stderr.columns }),
  });
  const [first = "", ...rest] = frames.map((frame, index) =>
    [messages[index], ...(messages[index]?.notes ?? [])].reduce(countedFromOne, frame),
  );
  const line = first.slice(first.search(/\n[^\n]*│/) + 1);
  return [messages[0]?.location ? line : "", ...rest].join("").trimEnd() || undefined;
}

/**
 * @template {{ location: import("esbuild").Location | null }} T
 * @param {T} message an error, or one of its notes
 * @returns {T} with the line as it is in the source file
 */
function shown(message) {
  if (!message.location) return message;
  const { lineText, ...rest } = inSource(message.location);
  return { ...message, location: { ...rest, lineText: oneLine(lineText) } };
}

/**
 * Changes a column that esbuild counts from 0 to one counted from 1, as in editors and elsewhere.
 * @param {string} frame
 * @param {{ location: import("esbuild").Location | null } | undefined} message
 */
function countedFromOne(frame, message) {
  const location = message?.location;
  if (!location) return frame;
  const at = `${location.file}:${location.line}:`;
  return frame.replace(`${at}${location.column}:`, `${at}${location.column + 1}:`);
}

module.exports = { BUILT, build, buildForRun };
