// `arkor init [dir]`: creates a project. At a terminal it asks questions, and otherwise uses flags and
// defaults. It never overwrites a file.

const { existsSync } = require("node:fs");
const path = require("node:path");
const { ancestors } = require("../lib/files.js");
const { canAsk, confirm, select, text } = require("./prompt.js");
const { CliError } = require("./errors.js");
const { arkorCommand } = require("./invocation.js");
const { print, say } = require("./output.js");
const { enterDirectory, findDirectory } = require("./init/directory.js");
const { checkGit, commitFirst, initGit, isInRepository } = require("./init/git.js");
const { nextSteps } = require("./init/guides.js");
const { PACKAGE_MANAGERS, install, packageManagerOf } = require("./init/packages.js");
const { nameError, nameOf } = require("./init/name.js");
const { readProject } = require("./init/project.js");
const { scaffold } = require("./init/scaffold.js");
const { TEMPLATES, templateIn } = require("./init/templates.js");

/** @typedef {import("./init/templates.js").TemplateName} TemplateName */
/** @typedef {import("./init/packages.js").PackageManager} PackageManager */

/**
 * @typedef {object} InitOptions
 * @property {boolean} [yes]
 * @property {string} [name]
 * @property {TemplateName} [template]
 * @property {boolean} [skipInstall]
 * @property {boolean} [useNpm]
 * @property {boolean} [usePnpm]
 * @property {boolean} [useYarn]
 * @property {boolean} [useBun]
 * @property {boolean} [allowBuilds]
 * @property {boolean} [agentsMd]
 * @property {boolean} [git]
 * @property {boolean} [skipGit]
 */

/**
 * @param {string | undefined} directory
 * @param {InitOptions} options
 * @returns {Promise<void>}
 */
async function init(directory, options) {
  if (options.git && options.skipGit)
    throw new CliError("--git and --skip-git can't be used together.");
  const wanted = wantedPackageManager(options);
  // Check this before asking anything, because a problem ends the command anyway.
  if (options.git) checkGit();
  const start = process.cwd();
  const cwd = findDirectory(directory);
  const project = readProject(cwd);
  const wrong = options.name === undefined ? undefined : nameError(options.name);
  if (wrong) throw new CliError(`--name ${JSON.stringify(options.name)}: ${wrong}`);

  const source = project.name ?? path.basename(cwd);
  const isNamed = directory !== undefined && nameError(source) === undefined;
  const name = options.name ?? (isNamed ? source : undefined);
  const manager = wanted ?? (await packageManagerOf(cwd));
  const choices = await choose(cwd, nameOf(source), manager, { ...options, name });
  if (!choices) return print("Nothing was changed.");

  enterDirectory(cwd);
  const allowBuilds = options.allowBuilds ?? false;
  const { written, manifest, note } = scaffold(cwd, { ...choices, manager, allowBuilds });
  for (const { file, done } of written) print(`${done} ${file}`);
  if (note) say(`note: ${note}`);
  const isNew = choices.git && !isInRepository(cwd);
  if (isNew) initGit(cwd);
  else if (choices.git) say("note: This is in a git repository already, so none was created.");
  if (choices.installs) {
    await install(cwd, manager);
    print(`Installed with ${manager}`);
  }
  if (isNew) commit(cwd, written);
  const state = { directory: path.relative(start, cwd), installed: choices.installs };
  for (const line of nextSteps({ manager, manifest }, state, process.stdout.columns)) print(line);
}

/**
 * The choices that the flags leave open: asked at a terminal, else the defaults.
 * @param {string} cwd
 * @param {string} suggested the project's name
 * @param {PackageManager} manager
 * @param {InitOptions} options
 * @returns {Promise<Choices | undefined>} undefined if the user declined
 */
async function choose(cwd, suggested, manager, options) {
  const isInteractive = !options.yes && canAsk();
  const present = templateIn(cwd);
  if (!isInteractive) refuseSecond(present, options.template);
  const name =
    options.name ??
    (isInteractive ? await text("What's the project's name?", suggested, nameError) : suggested);
  const template =
    options.template ??
    (isInteractive
      ? await select("What should the model learn?", templatesFrom(present?.template))
      : (present?.template ?? TEMPLATES[0].value));
  if (present && present.template !== template && !(await confirm(mixed(present), false))) {
    return undefined;
  }
  const agentsMd =
    options.agentsMd ??
    (isInteractive && (await confirm("Add an AGENTS.md for coding agents?", false)));
  const installs =
    !options.skipInstall && (!isInteractive || (await confirm(`Install with ${manager}?`, true)));
  const git = !options.skipGit && (await wantsGit(cwd, options, isInteractive));
  return { name, template, agentsMd, installs, git };
}

/**
 * @typedef {object} Choices
 * @property {string} name
 * @property {TemplateName} template
 * @property {boolean} agentsMd
 * @property {boolean} installs
 * @property {boolean} git
 */

/** @typedef {import("./init/templates.js").Present} Present */

/**
 * @param {Present | undefined} present
 * @param {TemplateName | undefined} wanted
 * @throws {CliError} if the project already has another template, whose files would mix with this one's
 */
function refuseSecond(present, wanted) {
  if (!present || !wanted || present.template === wanted) return;
  throw new CliError(
    `This project has the template ${present.template} already (${present.file}). ` +
      `Make another project: ${arkorCommand(`init my-${wanted} --template ${wanted}`)}`,
  );
}

/** @param {Present} present */
function mixed({ template, file }) {
  return `This project has the template ${template} already (${file}). Its files stay, and only new ones are added. Go on?`;
}

/**
 * @param {TemplateName | undefined} first the template to preselect
 * @returns {import("./init/templates.js").Template[]}
 */
function templatesFrom(first) {
  return [...TEMPLATES].sort((a, b) => Number(b.value === first) - Number(a.value === first));
}

/**
 * @param {InitOptions} options
 * @returns {PackageManager | undefined}
 */
function wantedPackageManager({ useNpm, usePnpm, useYarn, useBun }) {
  const flags = [useNpm, usePnpm, useYarn, useBun];
  const wanted = PACKAGE_MANAGERS.filter((_, index) => flags[index]);
  if (wanted.length > 1) {
    throw new CliError(
      `${wanted.map((name) => `--use-${name}`).join(" and ")} can't be used together.`,
    );
  }
  return wanted[0];
}

/**
 * @param {string} cwd
 * @param {InitOptions} options
 * @param {boolean} isInteractive
 * @returns {Promise<boolean>}
 */
async function wantsGit(cwd, { git }, isInteractive) {
  if (git) return true;
  if (!isInteractive) return false;
  // The directory itself may not exist yet.
  const nearest = ancestors(cwd).find((one) => existsSync(one)) ?? cwd;
  return isInRepository(nearest) === false && confirm("Create a git repository?", true);
}

/**
 * @param {string} cwd
 * @param {{ file: string }[]} written
 */
function commit(cwd, written) {
  const failure = commitFirst(
    cwd,
    written.map(({ file }) => file),
  );
  if (failure === undefined) return print("Created a git repository, with a first commit");
  print("Created a git repository");
  say(`warning: The first commit couldn't be made: ${failure}`);
}

module.exports = { init };
