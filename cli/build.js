// `arkor build`: the training entry in, one ESM file with its source map out. `freshBundle` is what
// `arkor start` runs: it builds unless the bundle on disk is certainly what the sources give.

const fs = require("node:fs");
const path = require("node:path");
const { isDeepStrictEqual } = require("node:util");
const {
  ABSENT,
  digest,
  digestSources,
  isUnchanged,
  portable,
  readRecord,
  writeAtomically,
} = require("./bundle.js");
const { CliError } = require("./errors.js");
const { version } = require("../package.json");

const DEFAULT_ENTRY = "src/arkor/index.ts";
const OUT_DIR = ".arkor/build";

/** The exports in which a training entry may hold its trainer. */
const PICKED_EXPORTS = ["arkor", "trainer", "default"];

const NOTHING_EXPORTED =
  "Training entry must export `arkor` (from createArkor({...})) or `trainer` " +
  "(from createTrainer({...})), or default-export one of them.";

/**
 * @typedef {object} Bundle
 * @property {string} file absolute path
 * @property {string} shown the path as it is told to the user
 * @property {string} [note] what the user should know about this bundle
 */

/** @param {string} cwd */
function pathsOf(cwd) {
  const directory = path.join(cwd, OUT_DIR);
  return {
    directory,
    file: path.join(directory, "index.mjs"),
    map: path.join(directory, "index.mjs.map"),
    record: path.join(directory, "inputs.json"),
    shown: `${OUT_DIR}/index.mjs`,
  };
}

/**
 * Bundles the entry: packages stay imports, everything that is the project's own goes in.
 * @param {string} [entry] relative to `cwd`
 * @param {string} [cwd]
 * @returns {Promise<Bundle>}
 * @throws {CliError} the entry is missing, has an error, or exports no trainer
 */
async function build(entry, cwd = process.cwd()) {
  const source = path.resolve(cwd, entry ?? DEFAULT_ENTRY);
  if (!fs.statSync(source, { throwIfNoEntry: false })?.isFile()) {
    throw new CliError(
      `Build entry not found: ${source}. Create ${DEFAULT_ENTRY} or pass an explicit entry argument.`,
    );
  }
  const out = pathsOf(cwd);
  const { result, sources } = await bundle(source, out.file, cwd);
  const code = result.outputFiles.find((file) => file.path === out.file);
  const map = result.outputFiles.find((file) => file.path === out.map);
  if (!code || !map) throw new Error("esbuild gave no bundle");

  const exported = Object.values(result.metafile.outputs).flatMap((output) => output.exports);
  // What comes from a package's `export *` is known at run time only.
  const isOpen = /^export \* from /m.test(code.text);
  if (!isOpen && !PICKED_EXPORTS.some((name) => exported.includes(name))) {
    throw new CliError(NOTHING_EXPORTED);
  }

  fs.mkdirSync(out.directory, { recursive: true });
  writeAtomically(out.map, map.contents);
  writeAtomically(out.file, code.contents);
  // Last: a build that was cut off leaves a record that does not fit its bundle, and is repeated.
  const record = {
    format: 1,
    arkor: version,
    entry: portable(cwd, source),
    bundle: digest(out.file),
    sources,
  };
  writeAtomically(out.record, `${JSON.stringify(record, null, 2)}\n`);
  return { file: out.file, shown: out.shown };
}

/**
 * @param {string} source
 * @param {string} outfile
 * @param {string} cwd
 */
async function bundle(source, outfile, cwd) {
  const esbuild = require("esbuild");
  try {
    const context = await esbuild.context({
      absWorkingDir: cwd,
      entryPoints: [source],
      outfile,
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node20",
      packages: "external",
      sourcemap: true,
      metafile: true,
      write: false,
      logLevel: "silent",
    });
    // What goes in is known after a build only, and a source may have been saved since it was read.
    // Digests that are the same before a build and after it are those of what that build has read.
    let result = await context.rebuild();
    let sources = digestSources(cwd, inputsOf(result, cwd));
    for (;;) {
      result = await context.rebuild();
      const after = digestSources(cwd, inputsOf(result, cwd));
      if (isDeepStrictEqual(after, sources)) return { result, sources };
      sources = after;
    }
  } catch (error) {
    throw new CliError(firstBuildError(error), { cause: error });
  } finally {
    // Its service is a process of its own, which would idle beside the whole training.
    await esbuild.stop();
  }
}

/**
 * @param {{ metafile: import("esbuild").Metafile }} result
 * @param {string} cwd
 * @returns {string[]} absolute paths of the files that were read
 */
function inputsOf({ metafile }, cwd) {
  return Object.keys(metafile.inputs).map((input) => path.resolve(cwd, input));
}

/**
 * @param {unknown} error
 * @returns {string} `file:line:col: text` of the first error
 */
function firstBuildError(error) {
  const first = /** @type {Partial<import("esbuild").BuildFailure>} */ (error).errors?.[0];
  if (!first) return `The build failed: ${error instanceof Error ? error.message : error}`;
  if (!first.location) return first.text;
  const { file, line, column } = first.location;
  return `${file}:${line}:${column + 1}: ${first.text}`;
}

/**
 * The bundle to run: the one on disk when it is certainly fresh, else a new one.
 * @param {string} [entry] given by the user: always built
 * @param {string} [cwd]
 * @returns {Promise<Bundle>}
 */
async function freshBundle(entry, cwd = process.cwd()) {
  if (entry !== undefined) return build(entry, cwd);
  const out = pathsOf(cwd);
  const built = digest(out.file);
  if (built === ABSENT) return build(undefined, cwd);
  const record = readRecord(out.record);
  if (!record) {
    // A bundle that was put here by other means, without sources, is all there is to run.
    const hasSource = fs.existsSync(path.join(cwd, DEFAULT_ENTRY));
    return hasSource ? build(undefined, cwd) : { file: out.file, shown: out.shown };
  }
  const intact = record.bundle === built && record.arkor === version;
  if (intact && isUnchanged(cwd, record)) return { file: out.file, shown: out.shown };
  if (record.bundle === built && isShippedAlone(cwd, record)) {
    const note = `No sources here: running ${out.shown} as it was built.`;
    return { file: out.file, shown: out.shown, note };
  }
  return build(record.entry, cwd);
}

/**
 * A bundle that was built elsewhere and deployed without the sources.
 * @param {string} cwd
 * @param {import("./bundle.js").BuildRecord} record
 * @returns {boolean}
 */
function isShippedAlone(cwd, record) {
  const settings = new Set(["package.json", "tsconfig.json"]);
  return Object.keys(record.sources)
    .filter((file) => file !== "." && !settings.has(path.posix.basename(file)))
    .every((file) => digest(path.resolve(cwd, file)) === ABSENT);
}

module.exports = { build, freshBundle };
