// `arkor init`: makes a project in the current directory. It asks at a terminal, uses its flags and
// defaults elsewhere, and never overwrites a file.

const path = require("node:path");
const { spawnSync } = require("node:child_process");
const { canAsk, confirm, select, text } = require("./prompt.js");
const { CliError } = require("./errors.js");
const { print } = require("./output.js");
const { PACKAGE_MANAGERS, install, packageManagerOf } = require("./init/packages.js");
const { nameError, nameOf } = require("./init/name.js");
const { readProject } = require("./init/project.js");
const { scaffold } = require("./init/scaffold.js");
const { TEMPLATES } = require("./init/templates.js");

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
 * @property {boolean} [git]
 * @property {boolean} [skipGit]
 */

/**
 * @param {InitOptions} options
 * @returns {Promise<void>}
 */
async function init(options) {
  const cwd = process.cwd();
  if (options.git && options.skipGit)
    throw new CliError("--git and --skip-git can't be used together.");
  const wanted = wantedPackageManager(options);
  // Before anything is asked: what is wrong with it ends this anyway.
  const project = readProject(cwd);
  const wrong = options.name === undefined ? undefined : nameError(options.name);
  if (wrong) throw new CliError(`--name ${JSON.stringify(options.name)}: ${wrong}`);

  const asks = !options.yes && canAsk();
  const suggested = nameOf(project.name ?? path.basename(cwd));
  const name =
    options.name ??
    (asks ? await text("What's the project's name?", suggested, nameError) : suggested);
  const template =
    options.template ??
    (asks ? await select("What should the model learn?", TEMPLATES) : TEMPLATES[0].value);
  const manager = wanted ?? (await packageManagerOf(cwd));
  const installs =
    !options.skipInstall && (!asks || (await confirm(`Install with ${manager}?`, true)));
  const git = !options.skipGit && (await wantsGit(cwd, options, asks));

  for (const { file, done } of scaffold(cwd, { name, template })) print(`${done} ${file}`);
  if (git) initGit(cwd);
  if (installs) {
    await install(cwd, manager);
    print(`Installed with ${manager}`);
  }
  for (const line of nextSteps(manager, installs)) print(line);
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
 * @param {boolean} asks
 * @returns {Promise<boolean>}
 */
async function wantsGit(cwd, { git }, asks) {
  if (git) return true;
  if (!asks) return false;
  const inside = spawnSync("git", ["rev-parse", "--is-inside-work-tree"], { cwd, stdio: "ignore" });
  // Git isn't installed, or this is a repository already.
  if (inside.error || inside.status === 0) return false;
  return confirm("Create a git repository?", true);
}

/** @param {string} cwd */
function initGit(cwd) {
  const { status, error, stderr } = spawnSync("git", ["init", "--quiet"], {
    cwd,
    encoding: "utf8",
  });
  if (error)
    throw new CliError(`--git: git couldn't be started: ${error.message}`, { cause: error });
  if (status !== 0) throw new CliError(`git init failed: ${stderr}`);
  print("Created a git repository");
}

/**
 * @param {PackageManager} manager
 * @param {boolean} installed
 */
function nextSteps(manager, installed) {
  const run = { npm: "npx", pnpm: "pnpm exec", yarn: "yarn", bun: "bunx" }[manager];
  return [
    "",
    "Next:",
    ...(installed ? [] : [`  ${manager} install`]),
    `  ${run} arkor start --local --dry-run    try a few steps on this machine`,
    `  ${run} arkor start --local              train on this machine`,
    `  ${run} arkor start                      train in the cloud`,
  ];
}

module.exports = { init };
