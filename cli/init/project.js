// The package.json, .gitignore and AGENTS.md of a project, and the additions that `arkor init` makes to the
// first two.

const fs = require("node:fs");
const path = require("node:path");
const { CliError } = require("../errors.js");
const { withMissing } = require("./builds.js");
const { readIfPresent } = require("./files.js");
const { version } = require("../../package.json");

const SCRIPTS = {
  dev: "arkor dev",
  build: "arkor build",
  start: "arkor start",
  "train:local": "arkor start --local",
  typecheck: "tsc --noEmit",
};
const IGNORED = ["node_modules/", ".arkor/", ".env", ".env.local"];
const DEPENDENCIES = [
  "dependencies",
  "devDependencies",
  "optionalDependencies",
  "peerDependencies",
];
/** The fields of package.json that must be objects, because entries are added to them. */
const OBJECTS = ["scripts", ...DEPENDENCIES, "allowScripts", "dependenciesMeta"];

/**
 * @typedef {object} Project
 * @property {string} [name] the name in package.json
 * @property {Record<string, any>} [manifest] absent if there's no package.json
 * @property {string} [manifestText]
 * @property {string} [ignore] the text of .gitignore
 * @property {string} [agents] the text of AGENTS.md
 */

/**
 * @param {string} cwd
 * @returns {Project}
 * @throws {CliError} if one of them can't be read, or package.json is invalid
 */
function readProject(cwd) {
  const manifestText = readIfPresent(path.join(cwd, "package.json"));
  const ignore = readIfPresent(path.join(cwd, ".gitignore"));
  const agents = readIfPresent(path.join(cwd, "AGENTS.md"));
  const manifest = manifestText === undefined ? undefined : parse(manifestText);
  return {
    ...(manifest !== undefined && { manifest, manifestText }),
    ...(ignore !== undefined && { ignore }),
    ...(agents !== undefined && { agents }),
    ...(typeof manifest?.name === "string" && { name: manifest.name }),
  };
}

/** @param {string} text */
function parse(text) {
  let manifest;
  try {
    // npm accepts a byte order mark, too.
    manifest = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (cause) {
    const { message } = /** @type {Error} */ (cause);
    throw new CliError(`package.json isn't valid JSON (${message}). Fix it, then run this again.`, {
      cause,
    });
  }
  if (!isObject(manifest)) {
    throw new CliError("package.json isn't an object. Fix it, then run this again.");
  }
  for (const field of OBJECTS) {
    if (manifest[field] === undefined || isObject(manifest[field])) continue;
    throw new CliError(`"${field}" in package.json isn't an object. Fix it, then run this again.`);
  }
  return manifest;
}

/** @param {unknown} value */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Builds the new package.json. Existing entries don't change.
 * @param {Project} project
 * @param {object} wanted
 * @param {string} wanted.name the name for a new package.json
 * @param {boolean} wanted.hasBackend whether the project has the local backend without listing it
 * @param {Record<string, any>} wanted.rules the settings that its package manager needs
 * @returns {{ manifest: Record<string, any>, text: string | undefined }} `text` is undefined if there's
 *   nothing to add
 */
function manifestWith({ manifest, manifestText = "" }, { name, hasBackend, rules }) {
  const before = manifest ?? { name, version: "0.0.0", private: true, type: "module" };
  const isListed = (/** @type {string} */ one) =>
    DEPENDENCIES.some((group) => before[group]?.[one] !== undefined);
  const needed = Object.entries(neededPackages(hasBackend)).filter(([one]) => !isListed(one));
  const scripts = Object.entries(SCRIPTS).filter(([one]) => before.scripts?.[one] === undefined);
  const isRuled = withMissing(before, rules) === before;
  if (manifest && needed.length === 0 && scripts.length === 0 && isRuled) {
    return { manifest, text: undefined };
  }
  const after = { ...before };
  if (scripts.length > 0) after.scripts = { ...before.scripts, ...Object.fromEntries(scripts) };
  if (needed.length > 0) {
    const all = Object.entries({ ...before.devDependencies, ...Object.fromEntries(needed) });
    // In the order in which package managers write them.
    after.devDependencies = Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  const indent = manifestText.match(/^[ \t]+(?=")/m)?.[0] ?? "  ";
  const whole = withMissing(after, rules);
  return { manifest: whole, text: `${JSON.stringify(whole, null, indent)}\n` };
}

/** @param {boolean} hasBackend */
function neededPackages(hasBackend) {
  return {
    arkor: `^${version}`,
    ...(!hasBackend && { "@arkor/local": `^${version}` }),
    "@types/node": "^20",
    typescript: "^5.9",
  };
}

/**
 * Whether `arkor start --local` finds its backend from this project without `@arkor/local` in its
 * package.json. Nothing is loaded to check that. A package next to a global arkor command doesn't count,
 * because the project runs its own arkor.
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} env
 * @returns {boolean}
 */
function hasLocalBackend(cwd, env) {
  if (env.ARKOR_LOCAL_BIN) return true;
  for (let directory = cwd, above = ""; directory !== above; directory = path.dirname(above)) {
    above = directory;
    const modules = path.join(directory, "node_modules");
    // A link to a checkout of arkor, which contains the backend.
    if (fs.existsSync(path.join(modules, "arkor/local/index.js"))) return true;
    // The next installation removes packages that are in the project's own node_modules but not in its
    // package.json.
    const isShared = directory !== cwd;
    if (isShared && fs.existsSync(path.join(modules, "@arkor/local/package.json"))) return true;
  }
  return false;
}

/**
 * @param {Project} project
 * @param {string[]} more lines to add besides those that every project gets
 * @returns {string | undefined} the new text of .gitignore; undefined if there's nothing to add
 */
function ignoreWith({ ignore = "" }, more) {
  const bare = (/** @type {string} */ line) => line.trim().replace(/^\/|\/$/g, "");
  const lines = new Set(ignore.split("\n").map(bare));
  const missing = [...IGNORED, ...more].filter((line) => !lines.has(bare(line)));
  if (missing.length === 0) return undefined;
  const end = ignore.includes("\r\n") ? "\r\n" : "\n";
  const gap = ignore === "" || ignore.endsWith("\n") ? "" : end;
  return `${ignore}${gap}${missing.map((line) => line + end).join("")}`;
}

module.exports = { SCRIPTS, hasLocalBackend, ignoreWith, manifestWith, readProject };
