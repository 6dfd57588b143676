// `npm run test:runtimes`: runs the contract's tests on every supported Node line, in worker threads, and
// with the garbage collector exposed. Node lines other than the current one come from npm packages. `npm run
// try` checks Bun and Deno.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { root, say } from "./steps.mjs";

const LINES = ["20", "22", "24"];
const VITEST = path.join(root, "node_modules/vitest/vitest.mjs");

/** All tests that go through the engine; tests of packing or of the command aren't included. */
const FILES = ["__test__/contract", "__test__/client"];
/**
 * The tests that also run in a worker. Tests of logins set the home directory in `process.env`, but
 * `os.homedir()` doesn't see a worker's `process.env`.
 */
const IN_A_WORKER = [
  "__test__/contract",
  ...["answers", "client", "cloud-api-error", "completion", "keep-alive", "options"].map(
    (name) => `__test__/client/${name}`,
  ),
];

const node = process.version.slice(1).split(".")[0];
/** @type {{ name: string, command: string[], args: string[], env?: Record<string, string> }[]} */
const runs = [
  ...LINES.map((line) => ({
    name: `Node ${line}`,
    command:
      line === node
        ? [process.execPath]
        : ["npx", "--yes", "--package", `node@${line}`, "--", "node"],
    args: FILES,
  })),
  {
    name: "worker threads",
    command: [process.execPath],
    args: ["--pool=threads", ...IN_A_WORKER],
  },
  {
    name: "--expose-gc",
    command: [process.execPath],
    args: FILES,
    env: { NODE_OPTIONS: "--expose-gc" },
  },
];

const failed = [];
for (const { name, command, args, env } of runs) {
  say(`\n== ${name}`);
  const [program, ...before] = command;
  const { status, error } = spawnSync(program, [...before, VITEST, "run", ...args], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...env },
    // npx is a script on Windows.
    shell: process.platform === "win32" && program === "npx",
  });
  if (error) say(`error: ${program} could not be started: ${error.message}`);
  if (status !== 0) failed.push(name);
}
say(failed.length === 0 ? `\nAll ${runs.length} pass.` : `\nFailed: ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
