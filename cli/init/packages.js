// Which package manager a project has, and an installation with it.

const { spawn } = require("node:child_process");
const { CliError } = require("../errors.js");

/** @typedef {"npm" | "pnpm" | "yarn" | "bun"} PackageManager */

/** @type {PackageManager[]} */
const PACKAGE_MANAGERS = ["npm", "pnpm", "yarn", "bun"];

/**
 * By the project's lock file or its package.json, else the one that runs us, else npm.
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
 * In CI, pnpm refuses a package.json that has changed since its lock file, and init has just changed it.
 * @type {Partial<Record<PackageManager, string[]>>}
 */
const UNLOCKED = { pnpm: ["--no-frozen-lockfile"] };

/**
 * @param {string} cwd
 * @param {PackageManager} manager
 * @returns {Promise<void>}
 */
async function install(cwd, manager) {
  const how = await new Promise((resolve) => {
    const child = spawn(manager, ["install", ...(UNLOCKED[manager] ?? [])], {
      cwd,
      // What it says is for the person; our stdout is for scripts.
      stdio: ["ignore", process.stderr, process.stderr],
      // They are scripts on Windows, which only a shell can start.
      shell: process.platform === "win32",
    });
    child.once("error", (error) => resolve(`can't be started: ${error.message}`));
    child.once("close", (code, signal) => {
      resolve(code === 0 ? undefined : signal ? `was ended by ${signal}` : `ended with ${code}`);
    });
  });
  if (how === undefined) return;
  throw new CliError(
    `The project is there, but not installed: ${manager} install ${how}. Run it again when that is mended.`,
  );
}

module.exports = { PACKAGE_MANAGERS, install, packageManagerOf };
