// Creates a clean project and runs a trial in it.
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

/** @typedef {import("./trials.mjs").Trial} Trial */

/**
 * Runs a program. `output` is its stdout and stderr together.
 * @param {string} cwd
 * @param {string[]} command
 * @param {Record<string, string | undefined>} env
 * @returns {Promise<{ code: number | null, output: string, stdout: string }>}
 */
export function execute(cwd, [program, ...args], env = {}) {
  // On Windows, npm and the commands that it installs are scripts, which only a shell can start.
  const shell = process.platform === "win32" && program !== process.execPath;
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    shell,
  });
  let [output, stdout] = ["", ""];
  child.stdout?.setEncoding("utf8").on("data", (text) => {
    output += text;
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ code: null, output: error.message, stdout }));
    child.once("close", (code) => resolve({ code, output, stdout }));
  });
}

/**
 * @param {string} cwd
 * @param {Record<string, string>} files
 */
export function writeFiles(cwd, files) {
  for (const [file, content] of Object.entries(files)) {
    const target = path.join(cwd, file);
    mkdirSync(path.dirname(target), { recursive: true });
    writeFileSync(target, content);
  }
}

/**
 * Installs packages into an empty directory, with an empty cache and without install scripts.
 * @param {string} cwd
 * @param {string[]} packages
 * @param {string} registry
 */
export async function install(cwd, packages, registry) {
  writeFiles(cwd, { "package.json": '{ "name": "clean", "private": true, "version": "1.0.0" }\n' });
  const flags = ["--no-audit", "--no-fund", "--ignore-scripts", "--cache=.npm-cache"];
  // npm's messages are checked, so they must not depend on how quiet the outer npm is.
  flags.push("--loglevel=notice");
  // The registry is on this machine, so no proxy from the environment applies.
  flags.push(`--registry=${registry}`, "--noproxy=127.0.0.1");
  return execute(cwd, ["npm", "install", ...flags, ...packages]);
}

/**
 * @param {Trial} trial
 * @param {string} cwd
 * @param {Record<string, string>} env the environment variables that point arkor at a backend
 * @param {(tool: string) => string[]} find the command of a tool
 * @returns {Promise<{ passed: boolean, output: string }>}
 */
export async function attempt(trial, cwd, env, find) {
  writeFiles(cwd, trial.files);
  let output = "";
  for (const [tool, ...args] of trial.commands) {
    const command = tool === "node" ? [process.execPath] : find(tool);
    const result = await execute(cwd, [...command, ...args], env);
    output += `$ ${[tool, ...args].join(" ")}\n${result.output}`;
    if (result.code !== 0) return { passed: false, output };
  }
  return { passed: trial.prints.test(output), output };
}
