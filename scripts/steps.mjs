// Shared by the npm scripts: running a step visibly, and the installation that each script starts with.
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
 * Runs a step and shows its output. If it fails, exits with its exit status.
 * @param {string} program
 * @param {string[]} args
 * @param {string} [cwd]
 */
export function step(program, args, cwd = root) {
  // On Windows, npm is a script, which only a shell can start. No argument here needs quoting.
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
  // Don't use `npm ci`: it requires an entry in the lock file for every platform's optional package, but a
  // registry that mirrors only some platforms can't provide all entries. The lock file still pins the
  // installed versions, and isn't changed.
  step("npm", ["install", "--no-save", "--no-audit", "--no-fund"]);
}
