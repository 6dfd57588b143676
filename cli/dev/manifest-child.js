// Builds and imports the project's entry in a separate process. Studio survives whatever the entry does at
// its top level, and each edit gets a fresh import.

const path = require("node:path");
const { buildForRun } = require("../build.js");
const { internalsOf } = require("../internals.js");

/** @param {string | undefined} entry */
async function describe(entry) {
  const { file } = await buildForRun(entry);
  const { loadTrainer } = require("../../lib/entry.js");
  const trainer = await loadTrainer(file);
  const config = internalsOf(trainer)?.config?.() ?? {};
  return { trainer: { name: String(trainer.name), config } };
}

/**
 * The position in the project's sources that an error comes from.
 * @param {unknown} error
 * @returns {{ file: string, line: number, column: number } | undefined}
 */
function locationOf(error) {
  const built = /^(?<file>[^\n:]+):(?<line>\d+):(?<column>\d+): /;
  const frame =
    /(?:file:\/\/)?(?<file>\/[^\n():]+|[A-Za-z]:[^\n():]+):(?<line>\d+):(?<column>\d+)/g;
  const { message = "", stack = "" } = error instanceof Error ? error : {};
  const inMessage = built.exec(message)?.groups;
  if (inMessage) return position(inMessage);
  const cwd = process.cwd() + path.sep;
  for (const { groups } of stack.matchAll(frame)) {
    const file = decodeURI(groups?.file ?? "");
    const isOwn = file.startsWith(cwd) && !file.includes("node_modules");
    if (groups && isOwn && !file.includes(`${path.sep}.arkor${path.sep}`)) {
      return position({ ...groups, file: path.relative(cwd, file) });
    }
  }
  return undefined;
}

/** @param {Record<string, string>} groups */
function position({ file = "", line, column }) {
  return { file, line: Number(line), column: Number(column) };
}

/** @param {object} result */
function answer(result) {
  // A config may have values that JSON can't express. Convert it as for the backend, so that the page shows
  // what the backend would get.
  process.send?.(JSON.parse(JSON.stringify(result)), () => process.exit());
}

// Studio is gone, so nobody waits for the result.
process.on("disconnect", () => process.exit());
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);

/** @param {unknown} error */
function fail(error) {
  const message = error instanceof Error ? error.message || error.name : String(error);
  const location = locationOf(error);
  const text = location ? message.replace(/^[^\n:]+:\d+:\d+: /, "") : message;
  answer({ trainer: null, error: text, ...(location && { location }) });
}

describe(process.argv[2]).then(answer, fail);
