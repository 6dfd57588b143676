// Writes the project's files. Existing ones are kept; package.json and .gitignore get what they lack.

const fs = require("node:fs");
const path = require("node:path");
const { writeAtomically } = require("../../lib/files.js");
const { checkReplaceable, checkTarget } = require("./files.js");
const { hasLocalBackend, ignoreWith, manifestWith, readProject } = require("./project.js");
const { directoriesOf } = require("./templates.js");

const CREATED = "Created";
const CHANGED = "Changed";
const KEPT = "Kept";

/**
 * @param {string} cwd
 * @param {object} options
 * @param {string} options.name
 * @param {import("./templates.js").TemplateName} options.template
 * @returns {{ file: string, done: string }[]}
 */
function scaffold(cwd, { name, template }) {
  // Read now: it may have changed while the questions were open.
  const project = readProject(cwd);
  const manifest = manifestWith(project, name, hasLocalBackend(cwd, process.env));
  const files = directoriesOf(template).flatMap((directory) =>
    filesIn(directory).map((file) => ({ file, directory })),
  );
  const ignore = ignoreWith(project);
  // All of them before the first is written.
  for (const file of ["package.json", ".gitignore", ...files.map(({ file }) => file)]) {
    checkTarget(cwd, file);
  }
  if (project.manifest && manifest) checkReplaceable(path.join(cwd, "package.json"));
  if (project.ignore !== undefined && ignore) checkReplaceable(path.join(cwd, ".gitignore"));
  return [
    change(cwd, "package.json", project.manifestText, manifest),
    change(cwd, ".gitignore", project.ignore, ignore),
    ...files.map(({ file, directory }) =>
      create(cwd, file, contentOf(directory, file, template, name)),
    ),
  ];
}

/**
 * @param {string} cwd
 * @param {string} file
 * @param {string | undefined} before
 * @param {string | undefined} after undefined when it stays unchanged
 */
function change(cwd, file, before, after) {
  if (after === undefined) return { file, done: KEPT };
  const target = path.join(cwd, file);
  if (before === undefined) {
    writeAtomically(target, after);
    return { file, done: CREATED };
  }
  // A link stays a link, and the permissions stay.
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
    // Fails when it exists, even if it was made since we looked.
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
  // The template has its own name there, so that it compiles as it is.
  return content.toString().replace(`name: "${template}"`, () => `name: ${JSON.stringify(name)}`);
}

module.exports = { scaffold };
