// The command line: arguments in, one command run, the exit code set.

const path = require("node:path");
const { CommanderError } = require("commander");
const {
  CliError,
  Cancelled,
  cleanWarning,
  deprecationText,
  describe,
  restoreWarning,
} = require("./errors.js");
const { say, sayError } = require("./output.js");
const { createProgram } = require("./program.js");

const ENGINE = path.join(__dirname, "../binding.js");

/**
 * Runs the command; never rejects. The exit code goes to `process.exitCode`, so that what is still
 * being written gets out.
 * @param {string[]} args without `node` and the script
 * @returns {Promise<void>}
 */
async function main(args) {
  process.stdout.on("error", onWriteError);
  process.stderr.on("error", onWriteError);
  process.prependListener("warning", cleanWarning);
  process.on("warning", restoreWarning);
  process.on("uncaughtException", onUncaught);
  try {
    // Nothing to do is no error: it asks what there is.
    const wanted = args.length > 0 ? args : ["--help"];
    await createProgram().parseAsync(wanted, { from: "user" });
  } catch (error) {
    process.exitCode = tell(error);
  } finally {
    const deprecation = takeDeprecation();
    if (deprecation) say(deprecationText(deprecation));
  }
  // After the user cancels, a pending request could still complete and change something: exit now.
  if (process.exitCode === Cancelled.EXIT_CODE) process.stderr.write("", () => process.exit());
}

/**
 * @param {unknown} error
 * @returns {number} the exit code
 */
function tell(error) {
  const told = error instanceof CommanderError ? usageError(error) : error;
  if (told === undefined) return 0;
  if (!(told instanceof Cancelled)) {
    sayError(told);
    return 1;
  }
  say(told.message);
  return told.exitCode;
}

/**
 * What a timer or a promise of the project throws while nobody waits for it. A project that has its own
 * listener decides for itself.
 * @param {unknown} error
 */
function onUncaught(error) {
  if (process.listenerCount("uncaughtException") > 1) return;
  sayError(error);
  process.exit(1);
}

/** The backend's deprecation notice, once. If the engine isn't loaded, the command made no request. */
function takeDeprecation() {
  const engine = require.cache[ENGINE]?.exports;
  return engine?.takeDeprecation();
}

/**
 * A reader that has gone (`arkor start | head -1`) is no reason to give up a run; a full disk is.
 * @this {NodeJS.WriteStream}
 * @param {NodeJS.ErrnoException} error
 */
function onWriteError(error) {
  if (error.code === "EPIPE") return;
  if (this === process.stdout) {
    say(`error: Can't write to stdout: ${describe(error)}`);
  }
  process.exit(1);
}

/**
 * Commander throws for `--help`, `--version` and a command without one of its own; these are no errors.
 * @param {CommanderError} error
 * @returns {CliError | undefined}
 */
function usageError(error) {
  if (error.exitCode === 0 || error.code === "commander.help") return undefined;
  return new CliError(error.message.replace(/^error: /, ""));
}

module.exports = { main, onWriteError };
