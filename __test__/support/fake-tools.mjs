// Stands in for Python, uv and nvidia-smi in tests of the torch engine's installation. It installs nothing.
// Every call becomes a line of FAKE_LOG. FAKE_PYTHON and FAKE_UV_VERSION are the versions of the tools.
// FAKE_FAILURE, as JSON, names the `step` (`sync`, `pip`, `venv`) that fails with the lines in `says`, or
// that never ends if `says` is missing. FAKE_CHECK is the worker's response to `--check`.
import { appendFileSync, chmodSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const FAKE = fileURLToPath(import.meta.url);
const CHECKED = {
  python: "3.11.7",
  packages: { torch: "2.15.0", transformers: "5.24.0" },
  device: "cpu",
};

/**
 * @param {string} file
 * @param {string} tool
 */
export function writeTool(file, tool) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\nexec "${process.execPath}" "${FAKE}" ${tool} "$0" "$@"\n`);
  chmodSync(file, 0o755);
}

/** @param {string} place */
function makeEnvironment(place) {
  writeTool(path.join(place, "bin/python"), "python");
  writeFileSync(path.join(place, "package.py"), "x".repeat(5000));
}

const { env } = process;
const [, main, tool, self = "", ...args] = process.argv;

/**
 * @param {string} step
 * @param {() => void} work
 */
function step(step, work) {
  const failure = JSON.parse(env.FAKE_FAILURE ?? "{}");
  work();
  if (failure.step !== step) {
    if (step === "sync") process.stderr.write("Prepared 2 packages in 1s\n + torch==2.15.0\n");
  } else if (failure.says) {
    process.stderr.write(`${failure.says.join("\n")}\n`);
    process.exitCode = 2;
  } else {
    process.stderr.write(`Downloading torch (pid ${process.pid})\n`);
    setInterval(() => {}, 1000);
  }
}

function uv() {
  if (args[0] === "--version") console.log(`uv ${env.FAKE_UV_VERSION ?? "0.13.9"}`);
  else if (args[0] === "venv") step("venv", () => makeEnvironment(args.at(-1) ?? ""));
  else step(args[0] ?? "", () => {});
}

function python() {
  const [first, second] = args;
  if (first === "-c") console.log(`${env.FAKE_PYTHON ?? "3.11.7"}\n${self}`);
  else if (second === "venv") step("venv", () => makeEnvironment(args.at(-1) ?? ""));
  else if (second === "pip") {
    step("pip", () => writeTool(path.join(path.dirname(self), "uv"), "uv"));
  } else if (second === "--check") {
    const answer = env.FAKE_CHECK ?? JSON.stringify(CHECKED);
    process.stdout.write(`a line of a library\n${answer}\n`);
    process.exitCode = answer.includes("problem") ? 1 : 0;
  }
}

if (main === FAKE) {
  const { UV_PROJECT_ENVIRONMENT: place, UV_CACHE_DIR: cache, VIRTUAL_ENV: active } = env;
  const line = { tool, args, ...(tool === "uv" && { place, cache, active }) };
  appendFileSync(env.FAKE_LOG ?? "", `${JSON.stringify(line)}\n`);
  if (tool === "uv") uv();
  else if (tool === "python") python();
}
