// Prints the failed tests of a run again at the end, just above the tally, where users look for them.

/** The maximum number of lines to repeat of a failure; its whole output is further up. */
const MAX_LINES = 25;

/**
 * @param {string} name
 * @param {string} text the test runner's message about it
 */
function failure(name, text) {
  return [`failed: ${name}`, ...text.trim().split("\n").slice(0, MAX_LINES)].join("\n    ");
}

/**
 * @param {{ testResults: VitestFile[] }} report Vitest's report in JSON
 * @returns {string[]}
 */
export function vitestFailures({ testResults }) {
  return testResults.flatMap(({ name: file, status, message, assertionResults }) => {
    const failed = assertionResults.filter((test) => test.status === "failed");
    // The file itself failed: it couldn't be loaded, or one of its hooks failed.
    if (failed.length === 0) return status === "failed" ? [failure(file, message)] : [];
    return failed.map((test) =>
      failure(`${file}: ${test.fullName}`, (test.failureMessages ?? []).join("\n")),
    );
  });
}

/**
 * @typedef {object} VitestFile
 * @property {string} name
 * @property {string} status
 * @property {string} message
 * @property {{ fullName: string, status: string, failureMessages?: string[] | null }[]} assertionResults
 */

/**
 * @param {string} output the output of `cargo test`
 * @returns {string[]}
 */
export function cargoFailures(output) {
  const sections = output.matchAll(/^---- (.+?) stdout ----\n(.*?)(?=^---- |^failures:$)/gms);
  return [...sections].map(([, name = "", text = ""]) => failure(name, text));
}

/**
 * @param {string} output the output of pytest
 * @returns {string[]}
 */
export function pytestFailures(output) {
  const lines = output.matchAll(/^(?:FAILED|ERROR) (\S+)(?: - (.*))?$/gm);
  return [...lines].map(([, name = "", text = ""]) => failure(name, text));
}

/** @param {string[]} failures */
export function showFailures(failures) {
  for (const text of failures) process.stdout.write(`\n${text}\n`);
}
