// Writes the project's files. Existing files are kept; package.json, .gitignore and AGENTS.md get missing
// entries.

const fs = require("node:fs");
const path = require("node:path");
const { writeAtomically } = require("../../lib/files.js");
const { buildRules } = require("./builds.js");
const { checkReplaceable, checkTarget } = require("./files.js");
const { agentsWith, readme } = require("./guides.js");
const { workspaceAbove } = require("./packages.js");
const { hasLocalBackend, ignoreWith, manifestWith, readProject } = require("./project.js");
const { filesOf } = require("./templates.js");

/** @typedef {import("./templates.js").TemplateName} TemplateName */

const CREATED = "Created";
const CHANGED = "Changed";
const KEPT = "Kept";

/**
 * @typedef {object} Wanted
 * @property {string} name
 * @property {TemplateName} template
 * @property {import("./packages.js").PackageManager} manager
 * @property {boolean} allowBuilds
 * @property {boolean} agentsMd
 */

/**
 * @param {string} cwd
 * @param {Wanted} wanted
 * @returns {{ written: { file: string, done: string }[], manifest: Record<string, any>, note?: string }}
 */
function scaffold(cwd, wanted) {
  const { name, template, manager } = wanted;
  // Read them now, because they may have changed while the questions were open.
  const project = readProject(cwd);
  const rules = buildRules(cwd, manager, wanted.allowBuilds);
  const yarn = manager === "yarn" ? yarnFiles(cwd) : {};
  const hasBackend = hasLocalBackend(cwd, process.env);
  const { manifest, text } = manifestWith(project, { name, hasBackend, rules: rules.manifest });
  const ignore = ignoreWith(project, [
    ...(manager === "yarn" ? [".yarn/install-state.gz"] : []),
    // The folder that `arkor start` suggests for an export. An existing folder belongs to the project itself.
    ...(fs.existsSync(path.join(cwd, "model")) ? [] : ["/model/"]),
  ]);
  const files = filesOf(template, name);
  const made = { ...wanted, manifest, files: Object.keys(files) };
  const agents = wanted.agentsMd ? agentsWith(project.agents, made) : undefined;
  /** @type {Change[]} */
  const changes = [
    ["package.json", project.manifestText, text],
    [".gitignore", project.ignore, ignore],
    ...(wanted.agentsMd ? [/** @type {Change} */ (["AGENTS.md", project.agents, agents])] : []),
  ];
  const readmeFile = ownReadme(cwd) ?? "README.md";
  /** @type {Record<string, string | Buffer>} */
  const created = { ...files, [readmeFile]: readme(made), ...rules.files, ...yarn };
  // Check all of them before writing the first.
  for (const file of [...changes.map(([file]) => file), ...Object.keys(created)]) {
    checkTarget(cwd, file);
  }
  for (const [file, before, after] of changes) {
    if (before !== undefined && after !== undefined) checkReplaceable(path.join(cwd, file));
  }
  const written = [
    ...changes.map(([file, before, after]) => change(cwd, file, before, after)),
    ...Object.entries(created).map(([file, content]) => create(cwd, file, content)),
  ];
  return { written, manifest, ...(rules.note && { note: rules.note }) };
}

/** @typedef {[file: string, before: string | undefined, after: string | undefined]} Change */

/**
 * Plug'n'Play, Yarn's own default, has no node_modules, which most editors need. An empty lock file makes the
 * directory a project of its own, even below another project.
 * @param {string} cwd
 * @returns {Record<string, string>}
 */
function yarnFiles(cwd) {
  const isSetUp = ["yarn.lock", ".yarnrc.yml", ".pnp.cjs"].some((file) =>
    fs.existsSync(path.join(cwd, file)),
  );
  if (isSetUp || workspaceAbove(cwd, "yarn") !== undefined) return {};
  return { ".yarnrc.yml": "nodeLinker: node-modules\n", "yarn.lock": "" };
}

/**
 * @param {string} cwd
 * @returns {string | undefined} the project's own README, however it's spelled
 */
function ownReadme(cwd) {
  return fs.readdirSync(cwd).find((file) => /^readme(\.\w+)?$/i.test(file));
}

/**
 * @param {string} cwd
 * @param {string} file
 * @param {string | undefined} before
 * @param {string | undefined} after undefined if it stays unchanged
 */
function change(cwd, file, before, after) {
  if (after === undefined) return { file, done: KEPT };
  const target = path.join(cwd, file);
  if (before === undefined) {
    writeAtomically(target, after);
    return { file, done: CREATED };
  }
  // A link stays a link, and the permissions don't change.
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
    // This fails if the file exists, even if it was created after the check.
    fs.writeFileSync(target, content, { flag: "wx" });
    return { file, done: CREATED };
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST") throw error;
    return { file, done: KEPT };
  }
}

module.exports = { scaffold };
