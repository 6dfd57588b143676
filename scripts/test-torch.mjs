// `npm run test:torch -- [--device cpu|cuda|mps] [--ray]`: tests the torch engine, from lints to a run in a
// cluster. It creates its own environment in target/torch; no other script needs Python. With --ray it also
// creates a Ray cluster in two network namespaces, for which it needs root and iproute2 on Linux.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { cargoFailures, pytestFailures, showFailures, vitestFailures } from "./failures.mjs";
import { installIfNeeded, root, say, step } from "./steps.mjs";

const require = createRequire(import.meta.url);
const { findUv, pythonFor, UV_VERSION } = require("../cli/engine/tools.js");
const { pythonOf } = require("../cli/engine/environments.js");

/** The versions of Python for which the lock file has wheels. */
const PYTHONS = [11, 12, 13, 14];
const PROJECT = path.join(root, "local/torch");
const PLACE = path.join(root, "target/torch");
const ENVIRONMENT = path.join(PLACE, "environment");

const { values: flags } = parseArgs({
  options: {
    device: { type: "string", default: "cpu" },
    ray: { type: "boolean", default: false },
  },
});

/** @typedef {{ passed: number, failed: number, failures: string[] }} Tally */

/** Creates the environment, unless it's up to date. */
async function prepare() {
  mkdirSync(PLACE, { recursive: true });
  const own = await findUv();
  const python = await pythonFor(PYTHONS, own !== undefined);
  // Without a Python there's a uv, which can download one.
  const uv = own?.program ?? installUv(python?.file ?? "python3");
  process.env.UV_PROJECT_ENVIRONMENT = ENVIRONMENT;
  const using = python ? ["--python", python.file] : [];
  step(uv, [
    "sync",
    "--frozen",
    "--extra",
    "ray",
    "--group",
    "dev",
    "--project",
    PROJECT,
    ...using,
  ]);
}

/**
 * @param {string} python
 * @returns {string} the path of uv, installed from PyPI
 */
function installUv(python) {
  const place = path.join(PLACE, "uv");
  step(python, ["-m", "venv", place]);
  step(pythonOf(place), ["-m", "pip", "install", "--quiet", `uv==${UV_VERSION}`]);
  return path.join(path.dirname(pythonOf(place)), "uv");
}

/**
 * Runs a test runner, and buffers its output until it ends, because several run at the same time.
 * @param {string} name
 * @param {string} program
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 * @returns {Promise<{ output: string, code: number }>}
 */
function runner(name, program, args, env = {}) {
  const begun = performance.now();
  const child = spawn(program, args, {
    cwd: root,
    env: { ...process.env, ARKOR_TEST_PYTHON: pythonOf(ENVIRONMENT), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
  }
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      const seconds = ((performance.now() - begun) / 1000).toFixed(0);
      process.stdout.write(`\n--- ${name}, ${seconds} s ---\n${output}`);
      resolve({ output, code: code ?? 1 });
    });
  });
}

/**
 * The tally of a runner. A runner that exits with an error but without a failed test counts as one failure.
 * @param {{ output: string, code: number }} ended
 * @param {RegExp} passed
 * @param {RegExp} failed
 * @returns {Tally}
 */
function tally({ output, code }, passed, failed) {
  const count = (/** @type {RegExp} */ pattern) => Number(output.match(pattern)?.[1] ?? 0);
  const failures = [...cargoFailures(output), ...pytestFailures(output)];
  return { passed: count(passed), failed: count(failed) || Number(code !== 0), failures };
}

async function pythonTests() {
  const args = ["-m", "pytest", "-q", "--color=no", "--durations=5", path.join(PROJECT, "tests")];
  const env = { ARKOR_TEST_DEVICE: flags.device };
  const ended = await runner("pytest", pythonOf(ENVIRONMENT), args, env);
  return tally(ended, /^(?:\d+ failed, )?(\d+) passed/m, /^(\d+) failed/m);
}

async function rustTests() {
  const args = ["test", "--locked", "--profile", "local", "-p", "arkor-local", "--test", "torch"];
  // PyTorch uses all cores, so concurrent tests would only wait for each other.
  const ended = await runner("cargo test", "cargo", [...args, "--", "--test-threads=1"]);
  return tally(ended, /^test result: .*? (\d+) passed;/m, /^test result: .*?(\d+) failed;/m);
}

/**
 * @param {string} name
 * @param {Record<string, string>} env
 */
async function javaScriptTests(name, env) {
  const directory = mkdtempSync(path.join(tmpdir(), "arkor-vitest-"));
  const report = path.join(directory, "report.json");
  const vitest = path.join(root, "node_modules/vitest/vitest.mjs");
  const config = ["--config", "vitest.torch.config.mts"];
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  try {
    await runner(name, process.execPath, [vitest, "run", ...config, ...reporters], env);
    const ended = JSON.parse(readFileSync(report, "utf8"));
    const { numPassedTests: passed, numFailedTests: failed } = ended;
    return { passed, failed, failures: vitestFailures(ended) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function throughTheBackend() {
  const tallies = [await rustTests(), await javaScriptTests("arkor start", {})];
  if (flags.ray) tallies.push(await javaScriptTests("Ray", { ARKOR_TEST_RAY: "1" }));
  return tallies;
}

installIfNeeded();
say("Building.");
step(process.execPath, [path.join(root, "scripts/build.mjs"), "--addon"]);
step(process.execPath, [path.join(root, "scripts/build.mjs"), "--local"]);
say("Preparing PyTorch.");
await prepare();
say("Checking lints and types.");
const python = pythonOf(ENVIRONMENT);
step(python, ["-m", "ruff", "check", "."], PROJECT);
step(python, ["-m", "ruff", "format", "--check", "."], PROJECT);
step(python, ["-m", "mypy", "arkor_torch"], PROJECT);
say("Testing.");
const tallies = (await Promise.all([pythonTests(), throughTheBackend()])).flat();
if (flags.device !== "cpu") {
  step(python, [path.join(PROJECT, "tests/throughput.py"), "--device", flags.device]);
}
showFailures(tallies.flatMap(({ failures }) => failures));
const passed = tallies.reduce((sum, each) => sum + each.passed, 0);
const failed = tallies.reduce((sum, each) => sum + each.failed, 0);
process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
