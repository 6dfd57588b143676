// What the npm scripts share: a step that is shown, and the installation that each begins with.
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

/** @param {string} line */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * Runs a step with its output shown, and ends with its exit code when it fails.
 * @param {string} program
 * @param {string[]} args
 * @param {string} [cwd]
 */
export function step(program, args, cwd = root) {
  // npm is a script on Windows, which only a shell can start; no argument here needs quoting.
  const shell = process.platform === "win32" && program === "npm";
  const { status, error } = spawnSync(program, args, { cwd, stdio: "inherit", shell });
  if (error) say(`error: ${program} could not be started: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

export function installIfNeeded() {
  const lock = statSync(path.join(root, "package-lock.json"));
  const marker = path.join(root, "node_modules/.package-lock.json");
  const installed = statSync(marker, { throwIfNoEntry: false });
  if (installed && installed.mtimeMs >= lock.mtimeMs) return;
  say("Installing the dependencies.");
  // Not `npm ci`: it wants an entry in the lock file for every platform's optional package, and a
  // registry that mirrors only some platforms has none to write there. The lock file still pins
  // what is installed, and is left as it is.
  step("npm", ["install", "--no-save", "--no-audit", "--no-fund"]);
}
