// The project's git repository and its first commit.

const { existsSync } = require("node:fs");
const path = require("node:path");
const { spawnSync } = require("node:child_process");
const { CliError } = require("../errors.js");
const { oneLine } = require("../../lib/printable.js");

const LOCK_FILES = ["package-lock.json", "pnpm-lock.yaml", "yarn.lock", "bun.lock", "bun.lockb"];

/**
 * @param {string} cwd
 * @param {string[]} args
 */
function git(cwd, args) {
  return spawnSync("git", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** @throws {CliError} if git can't be started */
function checkGit() {
  const { error } = git(process.cwd(), ["--version"]);
  if (!error) return;
  throw new CliError(
    `--git: git couldn't be started: ${error.message}. Install it, or leave the flag out.`,
    { cause: error },
  );
}

/**
 * @param {string} cwd
 * @returns {boolean | undefined} undefined without git
 */
function isInRepository(cwd) {
  const { error, status } = git(cwd, ["rev-parse", "--is-inside-work-tree"]);
  return error ? undefined : status === 0;
}

/** @param {string} cwd */
function initGit(cwd) {
  const { status, error, stderr } = git(cwd, ["init", "--quiet"]);
  if (status !== 0) {
    throw new CliError(`git init failed: ${error?.message ?? stderr}`, { cause: error });
  }
}

/**
 * Commits the written files, and no others that happen to be in the directory.
 * @param {string} cwd
 * @param {string[]} files
 * @returns {string | undefined} why the commit failed
 */
function commitFirst(cwd, files) {
  const locks = LOCK_FILES.filter((file) => existsSync(path.join(cwd, file)));
  // This fails if git ignores one of the files, but still adds the others.
  const added = git(cwd, ["add", "--", ...new Set([...files, ...locks])]);
  // Without a configured name and address, git would derive them from the machine's.
  const options = ["-c", "user.useConfigOnly=true"];
  const done = git(cwd, [...options, "commit", "--quiet", "-m", "Start with arkor"]);
  if (done.status === 0) return undefined;
  const output = `${done.stderr}${done.stdout}`;
  if (/user\.(name|email)|tell me who you are|no (name|email) was given/i.test(output)) {
    return "git doesn't know your name and e-mail address: set user.name and user.email, then run `git commit`";
  }
  return (
    oneLine(`${added.stderr}${output}`.trim()) || done.error?.message || `exit code ${done.status}`
  );
}

module.exports = { checkGit, commitFirst, initGit, isInRepository };
