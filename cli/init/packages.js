// The project's package manager, and an installation with it.

const { spawn } = require("node:child_process");
const { CliError } = require("../errors.js");

/** @typedef {"npm" | "pnpm" | "yarn" | "bun"} PackageManager */

/** @type {PackageManager[]} */
const PACKAGE_MANAGERS = ["npm", "pnpm", "yarn", "bun"];

/**
 * The one of the project's lock file or package.json, else the one that runs us, else npm.
 * @param {string} cwd
 * @returns {Promise<PackageManager>}
 */
async function packageManagerOf(cwd) {
  const { detect, getUserAgent } = await import("package-manager-detector");
  const found = [(await detect({ cwd }))?.name, getUserAgent()];
  return PACKAGE_MANAGERS.find((name) => name === found.find(isKnown)) ?? "npm";
}

/** @param {string | null | undefined} name */
function isKnown(name) {
  return PACKAGE_MANAGERS.some((known) => known === name);
}

/**
 * In CI, pnpm refuses a package.json that is newer than its lock file, and init has just changed it.
 * @type {Partial<Record<PackageManager, string[]>>}
 */
const UNLOCKED = { pnpm: ["--no-frozen-lockfile"] };

/**
 * @param {PackageManager} manager
 * @param {string} name a package, and its version
 */
function addCommand(manager, name) {
  return `${manager} ${manager === "npm" ? "install" : "add"} ${name}`;
}

/**
 * @param {string} cwd
 * @param {PackageManager} manager
 * @returns {Promise<void>}
 */
async function install(cwd, manager) {
  const how = await new Promise((resolve) => {
    const child = spawn(manager, ["install", ...(UNLOCKED[manager] ?? [])], {
      cwd,
      // Its output is for the person; our stdout is for scripts.
      stdio: ["ignore", process.stderr, process.stderr],
      // On Windows they are scripts, which only a shell can start.
      shell: process.platform === "win32",
    });
    child.once("error", (error) => resolve(`couldn't be started: ${error.message}`));
    child.once("close", (code, signal) => {
      resolve(
        code === 0 ? undefined : signal ? `was killed by ${signal}` : `exited with code ${code}`,
      );
    });
  });
  if (how === undefined) return;
  throw new CliError(
    `The project was created, but not installed: ${manager} install ${how}. Fix that, then run it again.`,
  );
}

module.exports = { PACKAGE_MANAGERS, addCommand, install, packageManagerOf };
