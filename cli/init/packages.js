// Detects the project's package manager, and installs with it.

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { ancestors } = require("../../lib/files.js");
const { CliError } = require("../errors.js");

/** @typedef {"npm" | "pnpm" | "yarn" | "bun"} PackageManager */

/** @type {PackageManager[]} */
const PACKAGE_MANAGERS = ["npm", "pnpm", "yarn", "bun"];

/**
 * Finds the package manager: of the project's own lock file or package.json, else of the workspace that the
 * project is in, else the one that started this process, else that of a directory above, else npm.
 * @param {string} cwd
 * @returns {Promise<PackageManager>}
 */
async function packageManagerOf(cwd) {
  const { detect, getUserAgent } = await import("package-manager-detector");
  const own = (await detect({ cwd, stopDir: cwd }))?.name;
  const above = (await detect({ cwd }))?.name;
  const isMember = PACKAGE_MANAGERS.some((name) => workspaceAbove(cwd, name) !== undefined);
  const found = [own, isMember ? above : undefined, getUserAgent(), above];
  return found.find(isPackageManager) ?? "npm";
}

/**
 * @param {string} cwd
 * @param {PackageManager} manager
 * @returns {string | undefined} the directory above that has the package manager's settings
 */
function workspaceAbove(cwd, manager) {
  const above = ancestors(cwd).slice(1);
  return above.find((directory) => isWorkspace(directory, manager));
}

/**
 * @param {string} directory
 * @param {PackageManager} manager
 */
function isWorkspace(directory, manager) {
  if (manager === "pnpm") return fs.existsSync(path.join(directory, "pnpm-workspace.yaml"));
  try {
    const text = fs.readFileSync(path.join(directory, "package.json"), "utf8");
    return JSON.parse(text).workspaces !== undefined;
  } catch {
    return false;
  }
}

/**
 * @param {string | null | undefined} name
 * @returns {name is PackageManager}
 */
function isPackageManager(name) {
  return PACKAGE_MANAGERS.some((known) => known === name);
}

/**
 * In CI, pnpm and Yarn refuse a package.json that's newer than its lock file, but `arkor init` has just
 * changed it.
 * @type {Partial<Record<PackageManager, string[]>>}
 */
const UNLOCKED = { pnpm: ["--no-frozen-lockfile"] };
const ENVIRONMENT = {
  YARN_ENABLE_IMMUTABLE_INSTALLS: "false",
  // arkor itself is a devDependency, and package managers skip those in production.
  NODE_ENV: "development",
};

/**
 * @param {PackageManager} manager
 * @param {string} script of package.json
 */
function runCommand(manager, script) {
  return manager === "npm" || manager === "bun"
    ? `${manager} run ${script}`
    : `${manager} ${script}`;
}

/**
 * @param {PackageManager} manager
 * @param {string} command an installed command with its arguments
 */
function execCommand(manager, command) {
  return `${{ npm: "npx", pnpm: "pnpm exec", yarn: "yarn", bun: "bunx" }[manager]} ${command}`;
}

/**
 * @param {PackageManager} manager
 * @param {string} name a package with its version
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
      env: { ...process.env, ...ENVIRONMENT },
      // Its output is for people; stdout is for scripts.
      stdio: ["ignore", process.stderr, process.stderr],
      // On Windows, package managers are scripts, which only a shell can start.
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

module.exports = {
  PACKAGE_MANAGERS,
  addCommand,
  execCommand,
  install,
  isPackageManager,
  packageManagerOf,
  runCommand,
  workspaceAbove,
};
