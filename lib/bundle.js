// Bundles a training entry: the project's own modules become one ES module, which Node can run.
"use strict";

const { createHash } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { BANNER, DEFINE, inSource, location } = require("./bundle/location.js");
const { packages } = require("./bundle/packages.js");
const { brokenAbove, findSettings } = require("./bundle/tsconfig.js");
const { NOTHING_EXPORTED, PICKED_EXPORTS } = require("./entry.js");
const { isWithin, writeAtomically } = require("./files.js");

const DEFAULT_ENTRY = path.join("src", "arkor", "index.ts");
const OUT_DIR = path.join(".arkor", "build");

/**
 * @typedef {object} Bundle
 * @property {string} file the bundle's path
 * @property {string[]} notes notes on the build for the user
 */

/**
 * The path of a run's bundle. Each entry has its own file, so that concurrent runs don't execute each other's
 * bundles.
 * @param {string} project
 * @param {string} entry
 */
function outfileFor(project, entry) {
  const relative = path.relative(project, entry);
  const { name } = path.parse(entry);
  const digest = createHash("sha256").update(relative).digest("hex").slice(0, 8);
  const file = relative === DEFAULT_ENTRY ? "index.mjs" : `${name}-${digest}.mjs`;
  return path.join(project, OUT_DIR, file);
}

/**
 * @param {string} entry absolute; a regular file
 * @param {string} project the directory whose `.arkor/build` contains the bundle
 * @param {string} [outfile] in that directory
 * @returns {Promise<Bundle>}
 * @throws {Error} if the entry exports no trainer, or has errors. For errors, the message is the first one's
 *   `file:line:column: text`, and the cause is esbuild's error, which has all of them
 */
async function bundle(entry, project, outfile = outfileFor(project, entry)) {
  // Use real paths, as Node and esbuild do.
  const real = fs.realpathSync(project);
  const source = fs.realpathSync(entry);
  const target = path.join(real, path.relative(project, outfile));
  const { result, notes } = await run(source, real, target);
  const [code, map] = [target, `${target}.map`].map(
    (file) => result.outputFiles.find((output) => output.path === file)?.contents,
  );
  if (!code || !map) throw new Error("esbuild gave no bundle");
  const exported = Object.values(result.metafile.outputs).flatMap((output) => output.exports);
  // The names that `export *` of a package exports are only known at run time.
  const isOpen = /^export \* from /m.test(Buffer.from(code).toString());
  if (!isOpen && !PICKED_EXPORTS.some((name) => exported.includes(name))) {
    throw new Error(NOTHING_EXPORTED);
  }
  makeDirectory(path.dirname(target));
  writeAtomically(`${target}.map`, map);
  writeAtomically(target, code);
  return { file: outfile, notes };
}

/** @param {string} directory */
function makeDirectory(directory) {
  try {
    fs.mkdirSync(directory, { recursive: true });
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code !== "EEXIST" && code !== "ENOTDIR") throw error;
    throw new Error(`${directory} has to be a directory. Move away what is in its place.`);
  }
}

/**
 * @param {string} entry
 * @param {string} project
 * @param {string} outfile
 */
async function run(entry, project, outfile) {
  const home = isWithin(project, entry) ? project : path.dirname(entry);
  const { own, broken } = findSettings(entry, home);
  const ownOnly = own === undefined ? { tsconfigRaw: "{}" } : { tsconfig: own };
  const build = async (
    /** @type {{ tsconfig?: string, tsconfigRaw?: string }} */ settings,
    broken = "",
  ) => {
    const result = await esbuild(entry, project, outfile, settings);
    const isMissed = broken !== "" && own === undefined;
    return { result, notes: isMissed ? [`${broken} can't be read; building without it`] : [] };
  };
  try {
    return await (broken === undefined ? build({}) : build(ownOnly, broken));
  } catch (error) {
    const named = broken === undefined && brokenAbove(esbuildErrors(error), home);
    if (named) return await build(ownOnly, named).catch(fail);
    return fail(error);
  }
}

/**
 * @param {string} entry
 * @param {string} project
 * @param {string} outfile
 * @param {{ tsconfig?: string, tsconfigRaw?: string }} settings
 */
function esbuild(entry, project, outfile, settings) {
  const directory = path.dirname(outfile);
  /** @type {import("esbuild").BuildOptions & { metafile: true, write: false }} */
  const options = {
    absWorkingDir: project,
    entryPoints: [entry],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    // Resolve like Node: by default, esbuild also applies the `module` condition.
    conditions: [],
    banner: { js: BANNER },
    define: DEFINE,
    plugins: [packages(directory), location(directory)],
    sourcemap: true,
    metafile: true,
    write: false,
    logLevel: "silent",
    ...settings,
  };
  // Loaded lazily, because most of this package works without esbuild.
  return require("esbuild").build(options);
}

/**
 * @param {unknown} error
 * @returns {import("esbuild").Message[]} the errors of a failed build, root cause first; empty for any other error
 */
function esbuildErrors(error) {
  const { errors = [] } = /** @type {Partial<import("esbuild").BuildFailure>} */ (error ?? {});
  // If a tsconfig can't be read, imports may fail because of that.
  const isSettings = (/** @type {import("esbuild").Message} */ { location }) =>
    location?.file.endsWith(".json") === true;
  return [...errors].sort((one, other) => Number(isSettings(other)) - Number(isSettings(one)));
}

/**
 * @param {unknown} error
 * @returns {never}
 */
function fail(error) {
  const [first, ...rest] = esbuildErrors(error);
  if (!first) throw error;
  const { location: place, text } = first;
  const at = place ? `${place.file}:${place.line}:${inSource(place).column + 1}: ` : "";
  const more = rest.length === 0 ? "" : ` (and ${rest.length} more)`;
  throw new Error(`${at}${text}${more}`, { cause: error });
}

module.exports = { DEFAULT_ENTRY, bundle, esbuildErrors };
