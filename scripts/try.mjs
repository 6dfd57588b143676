// `npm run try -- [--dist DIR] [--basic | --managers] [--train]`: installs the packed tarballs into clean
// projects and tries them there, like a user. `--basic` skips the trials that need further tools.
// `--managers` creates a project with each package manager instead. `--train` also trains with the packed
// local backend; with `--managers`, it trains a whole template and chats with its model. It needs only Node
// and npm, so it runs in a bare container. It prints a table, and exits with status 1 if a trial fails.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { root, say } from "./steps.mjs";
import { startBackend } from "./try/backend.mjs";
import { tryManagers } from "./try/managers.mjs";
import { attempt, execute, install } from "./try/project.mjs";
import { startRegistry } from "./try/registry.mjs";
import { MORE_TRIALS, TRAINING, TRIALS } from "./try/trials.mjs";

const { values: flags } = parseArgs({
  options: {
    dist: { type: "string", default: path.join(root, "dist") },
    basic: { type: "boolean", default: false },
    managers: { type: "boolean", default: false },
    train: { type: "boolean", default: false },
  },
});

const { output: upstream } = await execute(root, ["npm", "config", "get", "registry"]);
const registry = await startRegistry(path.resolve(flags.dist), { upstream: upstream.trim() });
/** @type {string[]} */
const rows = [];
let failures = 0;
/**
 * @param {string} name
 * @param {boolean} passed
 */
function record(name, passed) {
  rows.push(`| ${name} | ${passed ? "works" : "fails"} |`);
  if (!passed) failures++;
}

if (flags.managers) {
  for (const { name, passed, seconds, keys } of await tryManagers(registry.url, flags)) {
    const road = flags.train ? `: an answer after ${Math.round(seconds)} s and ${keys} keys` : "";
    record(name + road, passed);
  }
} else {
  await tryTrials();
}
registry.close();
const { platform, arch, version } = process;
process.stdout.write(
  `| ${platform} ${arch}, Node ${version} | |\n| --- | --- |\n${rows.join("\n")}\n`,
);
process.exitCode = failures === 0 ? 0 : 1;

async function tryTrials() {
  const backend = await startBackend();
  const home = mkdtempSync(path.join(tmpdir(), "arkor-try-"));
  const trials = flags.basic
    ? TRIALS.filter(({ needs }) => Object.keys(needs).length === 0)
    : [...TRIALS, ...MORE_TRIALS];
  if (flags.train) trials.push(TRAINING);
  for (const [index, trial] of trials.entries()) {
    const cwd = path.join(home, String(index));
    mkdirSync(cwd);
    const needs = Object.entries(trial.needs).map(([name, range]) => `${name}@${range}`);
    const packages = ["arkor", ...(trial === TRAINING ? ["@arkor/local"] : []), ...needs];
    const installed = await install(cwd, packages, registry.url);
    const { passed, output } =
      installed.code === 0
        ? await attempt(trial, cwd, backend.env, (tool) => [
            path.join(cwd, "node_modules/.bin", tool),
          ])
        : { passed: false, output: installed.output };
    record(trial.name, passed);
    say(`${passed ? "works" : "FAILS"}: ${trial.name}`);
    if (!passed) say(output);
  }
  backend.close();
  rmSync(home, { recursive: true, force: true });
}
