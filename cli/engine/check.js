// Checks with the torch engine's worker whether a Python can run it.

const fs = require("node:fs");
const { CliError } = require("../errors.js");
const { run } = require("./process.js");

/**
 * @typedef {object} Checked
 * @property {string} python the version of Python
 * @property {Record<string, string>} packages the versions of the packages
 * @property {string} device
 * @property {string} [deviceName]
 */

/**
 * @param {string} python
 * @param {string} worker the torch engine's folder
 * @param {{ ray: boolean, signal?: AbortSignal }} options `ray`: whether Ray is needed, too
 * @returns {Promise<Checked | { problem: string }>}
 */
async function check(python, worker, { ray, signal }) {
  const needed = ray ? ["--ray=auto"] : [];
  const { ok, how, stdout, lines } = await run([python, worker, "--check", ...needed], {
    ...(signal && { signal }),
  });
  const report = parse(stdout.trim().split("\n").at(-1) ?? "");
  if (report?.problem) return { problem: String(report.problem) };
  if (ok && report) return report;
  const last = lines.filter((line) => line.trim() !== "").at(-1);
  const why = how === "" ? "it printed no report" : `it ${how}`;
  return { problem: last === undefined ? why : `${why}: ${last.trim()}` };
}

/** @param {string} line */
function parse(line) {
  try {
    const report = JSON.parse(line);
    return typeof report === "object" ? report : undefined;
  } catch {
    return undefined;
  }
}

/**
 * @param {string} python the user's own Python
 * @param {string} worker
 * @param {{ named: string, ray: boolean }} options `named`: the flag or variable that names the Python
 * @param {(line: string) => void} say
 * @throws {CliError} if it can't run the torch engine
 */
async function checkOwn(python, worker, { named, ray }, say) {
  if (!fs.existsSync(python)) {
    throw new CliError(`${named} names a file that doesn't exist: ${python}`);
  }
  // Importing torch takes seconds.
  say(`Checking that ${python} can run the torch engine.`);
  const found = await check(python, worker, { ray });
  if (!("problem" in found)) return;
  throw new CliError(
    `${python} can't run the torch engine: ${found.problem}. Install the packages of ` +
      `${worker}/pyproject.toml there, or leave ${named} out and run: arkor engine install torch`,
  );
}

module.exports = { check, checkOwn };
