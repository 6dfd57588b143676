// `arkor build`, and the build that precedes every run.

const fs = require("node:fs");
const path = require("node:path");
const { DEFAULT_ENTRY, bundle } = require("../lib/bundle.js");
const { isFile } = require("../lib/files.js");
const { CliError } = require("./errors.js");

/** Where `arkor build` writes, relative to the project. */
const BUILT = ".arkor/build/index.mjs";

/** @typedef {import("../lib/bundle.js").Bundle} Bundle */

/**
 * `arkor build`: bundles the entry into `.arkor/build/index.mjs`.
 * @param {string} [entry] absolute, or relative to the working directory, which is the project
 * @returns {Promise<Bundle>}
 * @throws {CliError} the entry is missing, has an error, or exports no trainer
 */
function build(entry) {
  return buildInto(sourceOf(entry), path.resolve(BUILT));
}

/**
 * The bundle to run, of the sources as they are now. One that `arkor build` has written, given as the
 * entry, is run as it is: it may have been shipped without its sources.
 * @param {string} [entry] as for {@link build}
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
  const hint = isShipped ? ` To run the bundle that is here: arkor start ${BUILT}` : "";
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
    throw new CliError(message, { cause: error });
  } finally {
    // esbuild's service is a process of its own, which would idle beside the whole training.
    await require("esbuild").stop();
  }
}

module.exports = { BUILT, build, buildForRun };
