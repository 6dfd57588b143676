// What is there already: package.json and .gitignore, read before anything is written, and what
// `arkor init` adds to them.

const fs = require("node:fs");
const path = require("node:path");
const { CliError } = require("../errors.js");
const { version } = require("../../package.json");

const SCRIPTS = {
  train: "arkor start",
  "train:local": "arkor start --local",
  typecheck: "tsc",
};
const IGNORED = ["node_modules/", ".arkor/"];
const DEPENDENCIES = [
  "dependencies",
  "devDependencies",
  "optionalDependencies",
  "peerDependencies",
];

/**
 * @typedef {object} Project
 * @property {string} [name] as package.json has it
 * @property {Record<string, any>} [manifest] absent when there is no package.json
 * @property {string} [manifestText]
 * @property {string} [ignore] the text of .gitignore
 */

/**
 * @param {string} cwd
 * @returns {Project}
 * @throws {CliError} package.json can't be read as such
 */
function readProject(cwd) {
  const manifestText = readIfPresent(path.join(cwd, "package.json"));
  const ignore = readIfPresent(path.join(cwd, ".gitignore"));
  if (manifestText === undefined) return { ...(ignore !== undefined && { ignore }) };
  const manifest = parse(manifestText);
  return {
    manifest,
    manifestText,
    ...(ignore !== undefined && { ignore }),
    ...(typeof manifest.name === "string" && { name: manifest.name }),
  };
}

/**
 * @param {string} file
 * @returns {string | undefined}
 */
function readIfPresent(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    const name = path.basename(file);
    if (code === "ENOENT") {
      if (fs.lstatSync(file, { throwIfNoEntry: false }) === undefined) return undefined;
      throw new CliError(
        `${name} is a link to a file that is not there. Mend the link or remove it, then run this again.`,
      );
    }
    if (code !== "EISDIR") throw error;
    throw new CliError(
      `${name} is a directory, but is needed as a file. Move it away, then run this again.`,
    );
  }
}

/** @param {string} text */
function parse(text) {
  let manifest;
  try {
    // npm itself takes a byte order mark.
    manifest = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (cause) {
    const { message } = /** @type {Error} */ (cause);
    throw new CliError(
      `package.json is not valid JSON (${message}). Mend it, then run this again.`,
      {
        cause,
      },
    );
  }
  if (typeof manifest === "object" && manifest !== null && !Array.isArray(manifest))
    return manifest;
  throw new CliError("package.json holds no object. Mend it, then run this again.");
}

/**
 * The new text of package.json; what is there stays as it is.
 * @param {Project} project
 * @param {string} name of a new one
 * @param {(name: string) => boolean} isInstalled whether a package can be had already
 * @returns {string | undefined} undefined when there is nothing to add
 */
function manifestWith({ manifest, manifestText = "" }, name, isInstalled) {
  const before = manifest ?? { name, version: "0.0.0", private: true, type: "module" };
  const isListed = (/** @type {string} */ one) =>
    DEPENDENCIES.some((group) => before[group]?.[one] !== undefined);
  const needed = Object.entries(neededPackages(isInstalled)).filter(([one]) => !isListed(one));
  const scripts = Object.entries(SCRIPTS).filter(([one]) => before.scripts?.[one] === undefined);
  if (manifest && needed.length === 0 && scripts.length === 0) return undefined;
  const after = { ...before };
  if (scripts.length > 0) after.scripts = { ...before.scripts, ...Object.fromEntries(scripts) };
  if (needed.length > 0) {
    const all = Object.entries({ ...before.devDependencies, ...Object.fromEntries(needed) });
    // As the package managers sort them.
    after.devDependencies = Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  const indent = manifestText.match(/^[ \t]+(?=")/m)?.[0] ?? "  ";
  return `${JSON.stringify(after, null, indent)}\n`;
}

/** @param {(name: string) => boolean} isInstalled */
function neededPackages(isInstalled) {
  return {
    arkor: `^${version}`,
    // Named by the environment, or built in a checkout, it needs no installation.
    ...(!isInstalled("@arkor/local") && { "@arkor/local": `^${version}` }),
    "@types/node": "^20",
    typescript: "^5.9",
  };
}

/**
 * @param {Project} project
 * @returns {string | undefined} the new text of .gitignore; undefined when there is nothing to add
 */
function ignoreWith({ ignore = "" }) {
  const bare = (/** @type {string} */ line) => line.trim().replace(/^\/|\/$/g, "");
  const lines = new Set(ignore.split("\n").map(bare));
  const missing = IGNORED.filter((line) => !lines.has(bare(line)));
  if (missing.length === 0) return undefined;
  const gap = ignore === "" || ignore.endsWith("\n") ? "" : "\n";
  return `${ignore}${gap}${missing.join("\n")}\n`;
}

module.exports = { ignoreWith, manifestWith, readProject };
