// Finds the project that a command works in (the directory itself or one above it), and loads its `.env`
// files.

const fs = require("node:fs");
const { homedir } = require("node:os");
const path = require("node:path");
const { parseEnv } = require("node:util");
const { ancestors, isFile } = require("../lib/files.js");
const { CliError } = require("./errors.js");

/** Files that only a project has. `.arkor` alone isn't enough: in the home directory it holds the login. */
const SIGNS = ["src/arkor", "arkor.config.ts", ".arkor/state.json", ".arkor/build", ".arkor/local"];

/** The environment wins over the files, and the first file that sets a variable over the second. */
const ENV_FILES = [".env.local", ".env"];

/** Makes the project the working directory, and loads its `.env` files into the environment. */
function enterProject() {
  const cwd = process.cwd();
  const project = findProject(cwd);
  if (project !== cwd) {
    process.stderr.write(`Using the project in ${project}\n`);
    process.chdir(project);
  }
  for (const name of ENV_FILES) loadEnv(path.join(project, name));
}

/**
 * @param {string} cwd
 * @returns {string} the nearest directory that is a project, else `cwd`
 */
function findProject(cwd) {
  const directories = ancestors(cwd);
  // A project file in the home directory doesn't make everything below it part of that project.
  const home = directories.indexOf(homeOfUser());
  const below = home > 0 ? directories.slice(0, home) : directories;
  return below.find(isProject) ?? cwd;
}

function homeOfUser() {
  try {
    return homedir();
  } catch {
    return "";
  }
}

/** @param {string} directory */
function isProject(directory) {
  return (
    SIGNS.some((sign) => fs.existsSync(path.join(directory, sign))) || dependsOnArkor(directory)
  );
}

/** @param {string} directory */
function dependsOnArkor(directory) {
  try {
    const manifest = JSON.parse(fs.readFileSync(path.join(directory, "package.json"), "utf8"));
    return ["dependencies", "devDependencies"].some((kind) => "arkor" in (manifest[kind] ?? {}));
  } catch {
    return false;
  }
}

/**
 * @param {string} file
 * @throws {CliError} if it exists but can't be read
 */
function loadEnv(file) {
  // A directory of that name is a Python virtual environment.
  const found = fs.statSync(file, { throwIfNoEntry: false });
  if (!found || found.isDirectory()) return;
  // Reading a FIFO blocks until something writes to it.
  if (!isFile(file)) throw new CliError(`${file} is not a regular file`);
  const text = fs.readFileSync(file, "utf8").replace(/^\ufeff/, "");
  for (const [name, value] of Object.entries(parseEnv(text))) process.env[name] ??= value;
}

module.exports = { enterProject };
