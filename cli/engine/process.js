// Runs a program to its end and collects its output.

const { spawn } = require("node:child_process");
const { createInterface } = require("node:readline");

/**
 * @typedef {object} Ended
 * @property {boolean} ok
 * @property {string} how it ended, if it failed
 * @property {string} stdout
 * @property {string[]} lines of its stderr
 */

/**
 * @param {string[]} command the program and its arguments
 * @param {object} [options]
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {AbortSignal} [options.signal] kills the program and its children
 * @param {(line: string) => void} [options.onLine] gets each line of its stderr
 * @returns {Promise<Ended>} rejects only with the reason of `signal`
 */
async function run([program = "", ...args], { env = process.env, signal, onLine } = {}) {
  signal?.throwIfAborted();
  // In its own process group, so that Ctrl-C reaches only this command, and the program can be killed with
  // its children.
  const hasGroup = signal !== undefined && process.platform !== "win32";
  const child = spawn(program, args, {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: hasGroup,
    windowsHide: true,
  });
  const kill = () => {
    try {
      if (hasGroup && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
      else child.kill("SIGKILL");
    } catch {
      // It has already ended.
    }
  };
  process.once("exit", kill);
  signal?.addEventListener("abort", kill);
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  /** @type {string[]} */
  const lines = [];
  createInterface(child.stderr).on("line", (line) => {
    const safe = withoutSecrets(line);
    lines.push(safe);
    onLine?.(safe);
  });
  const how = await new Promise((resolve) => {
    child.once("error", (error) => resolve(`couldn't be started: ${error.message}`));
    child.once("close", (code, killer) => {
      resolve(code === 0 ? "" : killer ? `was killed by ${killer}` : `ended with code ${code}`);
    });
  });
  process.off("exit", kill);
  signal?.removeEventListener("abort", kill);
  signal?.throwIfAborted();
  return { ok: how === "", how, stdout, lines };
}

/**
 * @param {string} line a line that may quote the URL of a package index with its password
 * @returns {string}
 */
function withoutSecrets(line) {
  return line.replace(/([a-z][\w+.-]*:\/\/)[^\s"'`<>]*@/gi, "$1****@");
}

module.exports = { run };
