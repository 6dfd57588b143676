// The entry point of the command: parses the arguments, runs one command, and sets the exit status.

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
 * Runs the command; never rejects. It sets `process.exitCode` instead of exiting, so that pending output is
 * still written.
 * @param {string[]} args the arguments, without `node` and the script
 * @returns {Promise<void>}
 */
async function main(args) {
  process.stdout.on("error", onWriteError);
  process.stderr.on("error", onWriteError);
  process.prependListener("warning", cleanWarning);
  process.on("warning", restoreWarning);
  process.on("uncaughtException", onUncaught);
  try {
    // Without arguments, show the help. That isn't an error.
    const wanted = args.length > 0 ? args : ["--help"];
    await createProgram().parseAsync(wanted, { from: "user" });
  } catch (error) {
    process.exitCode = report(error);
  } finally {
    const deprecation = takeDeprecation();
    if (deprecation) say(deprecationText(deprecation));
  }
  // After the user has cancelled, a pending request could still complete and change something, so exit now.
  if (process.exitCode === Cancelled.EXIT_CODE) process.stderr.write("", () => process.exit());
}

/**
 * @param {unknown} error
 * @returns {number} the exit code
 */
function report(error) {
  const reported = error instanceof CommanderError ? usageError(error) : error;
  if (reported === undefined) return 0;
  if (!(reported instanceof Cancelled)) {
    sayError(reported);
    return 1;
  }
  say(reported.message);
  return reported.exitCode;
}

/**
 * Reports an uncaught exception from the project's code, such as from a timer. A project with its own
 * listener handles it itself.
 * @param {unknown} error
 */
function onUncaught(error) {
  if (process.listenerCount("uncaughtException") > 1) return;
  sayError(error);
  process.exit(1);
}

/** Takes the backend's deprecation notice. If the engine isn't loaded, the command made no request. */
function takeDeprecation() {
  const engine = require.cache[ENGINE]?.exports;
  return engine?.takeDeprecation();
}

/**
 * A closed pipe (`arkor start | head -1`) is no reason to abandon a run, but a full disk is.
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
 * Commander also throws for `--help`, `--version` and a command without its subcommand, which aren't errors.
 * @param {CommanderError} error
 * @returns {CliError | undefined}
 */
function usageError(error) {
  if (error.exitCode === 0 || error.code === "commander.help") return undefined;
  return new CliError(error.message.replace(/^error: /, ""));
}

module.exports = { main, onWriteError };
