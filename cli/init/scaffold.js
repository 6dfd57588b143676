// Writes the project's files. What is there is kept; package.json and .gitignore get what they lack.

const fs = require("node:fs");
const path = require("node:path");
const { writeAtomically } = require("../../lib/files.js");
const { CliError } = require("../errors.js");
const { findLocalBackend } = require("../local/find.js");
const { ignoreWith, manifestWith } = require("./project.js");
const { directoriesOf } = require("./templates.js");

const CREATED = "Created";
const CHANGED = "Changed";
const KEPT = "Kept";

/**
 * @param {string} cwd
 * @param {object} options
 * @param {string} options.name
 * @param {import("./templates.js").TemplateName} options.template
 * @param {import("./project.js").Project} options.project
 * @returns {{ file: string, done: string }[]}
 */
function scaffold(cwd, { name, template, project }) {
  const isInstalled = (/** @type {string} */ one) => one === "@arkor/local" && hasLocalBackend(cwd);
  const manifest = manifestWith(project, name, isInstalled);
  const files = directoriesOf(template).flatMap((directory) =>
    filesIn(directory).map((file) => ({ file, directory })),
  );
  // All before the first is written: a project is made whole or not at all.
  for (const { file } of files) checkTarget(cwd, file);
  return [
    change(cwd, "package.json", project.manifestText, manifest),
    change(cwd, ".gitignore", project.ignore, ignoreWith(project)),
    ...files.map(({ file, directory }) =>
      create(cwd, file, contentOf(directory, file, template, name)),
    ),
  ];
}

/**
 * @param {string} cwd
 * @param {string} file relative, with `/`
 * @throws {CliError} a file can't come there
 */
function checkTarget(cwd, file) {
  const parts = file.split("/");
  for (const [index] of parts.entries()) {
    const part = parts.slice(0, index + 1).join("/");
    const at = path.join(cwd, part);
    const isThere = fs.lstatSync(at, { throwIfNoEntry: false }) !== undefined;
    const isDirectory = fs.statSync(at, { throwIfNoEntry: false })?.isDirectory() ?? false;
    const needsDirectory = index < parts.length - 1;
    if (!isThere || isDirectory === needsDirectory) continue;
    const [is, needs] = needsDirectory ? ["no directory", "for"] : ["a directory", "as"];
    throw new CliError(
      `${part} is ${is}, but is needed ${needs} ${needsDirectory ? file : "a file"}. Move it away, then run this again.`,
    );
  }
}

/** @param {string} cwd */
function hasLocalBackend(cwd) {
  try {
    findLocalBackend(cwd, process.env);
    return true;
  } catch {
    return false;
  }
}

/**
 * @param {string} cwd
 * @param {string} file
 * @param {string | undefined} before
 * @param {string | undefined} after undefined when it stays as it is
 */
function change(cwd, file, before, after) {
  if (after === undefined) return { file, done: KEPT };
  const target = path.join(cwd, file);
  if (before === undefined) {
    writeAtomically(target, after);
    return { file, done: CREATED };
  }
  // A link stays a link, and what only the owner may read stays so.
  const real = fs.realpathSync(target);
  writeAtomically(real, after, fs.statSync(real).mode & 0o777);
  return { file, done: CHANGED };
}

/**
 * @param {string} cwd
 * @param {string} file
 * @param {string | Buffer} content
 */
function create(cwd, file, content) {
  const target = path.join(cwd, file);
  fs.mkdirSync(path.dirname(target), { recursive: true });
  try {
    // Fails when it is there, also when it has come between a look and this.
    fs.writeFileSync(target, content, { flag: "wx" });
    return { file, done: CREATED };
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST") throw error;
    return { file, done: KEPT };
  }
}

/**
 * @param {string} directory
 * @returns {string[]} relative, with `/`, in a fixed order
 */
function filesIn(directory) {
  return fs
    .readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)))
    .map((file) => file.split(path.sep).join("/"))
    .sort();
}

/**
 * @param {string} directory
 * @param {string} file
 * @param {string} template
 * @param {string} name
 */
function contentOf(directory, file, template, name) {
  const content = fs.readFileSync(path.join(directory, file));
  if (file !== "arkor.config.ts") return content;
  // The template's own name stands there, so that it is a file that compiles.
  return content.toString().replace(`name: "${template}"`, () => `name: ${JSON.stringify(name)}`);
}

module.exports = { scaffold };
