// `arkor init`: a project in the current directory that trains at once. Asks at a terminal, goes by its
// flags and defaults elsewhere, and never overwrites a file.

const path = require("node:path");
const { spawnSync } = require("node:child_process");
const { canAsk, confirm, select, text } = require("./prompt.js");
const { CliError } = require("./errors.js");
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
    throw new CliError("--git and --skip-git exclude each other.");
  const wanted = wantedPackageManager(options);
  const project = readProject(cwd);
  const wrong = options.name === undefined ? undefined : nameError(options.name);
  if (wrong) throw new CliError(`--name ${JSON.stringify(options.name)}: ${wrong}`);

  const asks = !options.yes && canAsk();
  const suggested = nameOf(project.name ?? path.basename(cwd));
  const name =
    options.name ?? (asks ? await text("What is it called?", suggested, nameError) : suggested);
  const template =
    options.template ??
    (asks ? await select("What should it learn?", TEMPLATES) : TEMPLATES[0].value);
  const manager = wanted ?? (await packageManagerOf(cwd));
  const installs =
    !options.skipInstall && (!asks || (await confirm(`Install with ${manager}?`, true)));
  const git = !options.skipGit && (await wantsGit(cwd, options, asks));

  for (const { file, done } of scaffold(cwd, { name, template, project })) {
    process.stdout.write(`${done} ${file}\n`);
  }
  if (git) initGit(cwd);
  if (installs) {
    await install(cwd, manager);
    process.stdout.write(`Installed with ${manager}\n`);
  }
  process.stdout.write(nextSteps(manager, installs));
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
      `${wanted.map((name) => `--use-${name}`).join(" and ")} exclude each other.`,
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
  // Not there, or there is a repository already.
  if (inside.error || inside.status === 0) return false;
  return confirm("Make it a git repository?", true);
}

/** @param {string} cwd */
function initGit(cwd) {
  const { status, error, stderr } = spawnSync("git", ["init", "--quiet"], {
    cwd,
    encoding: "utf8",
  });
  if (error) throw new CliError(`git can't be started: ${error.message}`, { cause: error });
  if (status !== 0) throw new CliError(`git init has failed: ${stderr}`);
  process.stdout.write("Made it a git repository\n");
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
    `  ${run} arkor start --local --dry-run    a few steps on this machine, to see it run`,
    `  ${run} arkor start --local              the whole training on this machine`,
    `  ${run} arkor start                      in the cloud`,
    "",
  ].join("\n");
}

module.exports = { init };
