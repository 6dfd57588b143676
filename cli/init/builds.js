// The package managers' settings for install scripts. In a project's dependencies, only esbuild has such a
// script. esbuild works without it: the script only makes the `esbuild` command start faster. So it's denied
// unless the user allows it, and an installation neither warns nor fails.

const path = require("node:path");
const { readIfPresent } = require("./files.js");
const { workspaceAbove } = require("./packages.js");

/** @typedef {import("./packages.js").PackageManager} PackageManager */

/** Bun runs no script that isn't listed, has no setting to deny one, and always prints how many there are. */
const BLOCKED = "Bun will say that it blocked a postinstall. It's esbuild's, which isn't needed.";

/**
 * @typedef {object} Rules
 * @property {Record<string, any>} manifest the fields for package.json
 * @property {Record<string, string>} files other files to write if they don't exist
 * @property {string} [note] a note to the user
 */

/**
 * @param {string} cwd
 * @param {PackageManager} manager
 * @param {boolean} allow
 * @returns {Rules}
 */
function buildRules(cwd, manager, allow) {
  if (manager === "bun" && !allow) return { manifest: {}, files: {}, note: BLOCKED };
  const workspace = workspaceAbove(cwd, manager);
  const file = manager === "pnpm" ? "pnpm-workspace.yaml" : "package.json";
  if (workspace !== undefined) return elsewhere(path.join(workspace, file), manager, allow);
  if (manager !== "pnpm") return { manifest: fields(manager, allow), files: {} };
  const own = path.join(cwd, file);
  if (readIfPresent(own) !== undefined) return elsewhere(own, manager, allow);
  return { manifest: {}, files: { [file]: pnpmWorkspace(allow) } };
}

/**
 * The rules if the setting belongs in a file that `arkor init` mustn't edit.
 * @param {string} file
 * @param {PackageManager} manager
 * @param {boolean} allow
 * @returns {Rules}
 */
function elsewhere(file, manager, allow) {
  const none = { manifest: {}, files: {} };
  const text = readIfPresent(file) ?? "";
  if (manager === "pnpm" ? ANSWERED.test(text) : hasAnswer(text, manager, allow)) return none;
  const answer = {
    npm: `set allowScripts.esbuild to ${allow}`,
    pnpm: `set allowBuilds.esbuild to ${allow}`,
    yarn: `set dependenciesMeta.esbuild.built to ${allow}`,
    bun: "add esbuild to trustedDependencies",
  };
  return {
    ...none,
    note: `${manager} asks about esbuild's install script. To answer it, ${answer[manager]} in ${file}`,
  };
}

/** Matches YAML that already has a setting for esbuild, or a list that contains it, perhaps with a version. */
const ANSWERED = /\besbuild["']?\s*:\s*(true|false)\b|-\s*["']?esbuild\b/;

/**
 * @param {string} text of a package.json
 * @param {PackageManager} manager
 * @param {boolean} allow
 */
function hasAnswer(text, manager, allow) {
  const manifest = JSON.parse(text);
  return withMissing(manifest, fields(manager, allow)) === manifest;
}

/**
 * @param {PackageManager} manager
 * @param {boolean} allow
 * @returns {Record<string, any>}
 */
function fields(manager, allow) {
  if (manager === "npm") return { allowScripts: { esbuild: allow } };
  if (manager === "yarn") return { dependenciesMeta: { esbuild: { built: allow } } };
  return allow ? { trustedDependencies: ["esbuild"] } : {};
}

/** @param {boolean} allow */
function pnpmWorkspace(allow) {
  const why = allow ? "" : "# esbuild works without its install script.\n";
  return `${why}allowBuilds:\n  esbuild: ${allow}\n`;
}

/**
 * Adds missing values; existing ones don't change.
 * @param {Record<string, any>} before
 * @param {Record<string, any>} added objects, and arrays of strings
 * @returns {Record<string, any>} `before` itself if nothing is missing
 */
function withMissing(before, added) {
  let after = before;
  for (const [key, value] of Object.entries(added)) {
    const now = merged(before[key], value);
    if (now !== before[key]) after = { ...after, [key]: now };
  }
  return after;
}

/**
 * @param {any} before
 * @param {any} added
 */
function merged(before, added) {
  if (before === undefined) return added;
  if (Array.isArray(before) && Array.isArray(added)) {
    const missing = added.filter((one) => !before.includes(one));
    return missing.length === 0 ? before : [...before, ...missing];
  }
  const objects = [before, added].every((one) => typeof one === "object" && one !== null);
  return objects && !Array.isArray(before) ? withMissing(before, added) : before;
}

module.exports = { buildRules, withMissing };
