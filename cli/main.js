// The command line: arguments in, one command run, the exit code set. Each command's module is
// loaded when it is the one that runs, so that `--help` costs neither esbuild nor the addon.

const { Command, CommanderError, InvalidArgumentError } = require("commander");
const { CliError, errorText } = require("./errors.js");
const { version } = require("../package.json");

/**
 * @param {string} value
 * @returns {number}
 */
function parsePort(value) {
  const port = Number(value);
  if (!/^\d+$/.test(value) || port > 65535) {
    throw new InvalidArgumentError("A port is a whole number from 0 to 65535.");
  }
  return port;
}

/**
 * @param {string} text
 * @returns {string}
 */
function example(text) {
  return `\nExample:\n  $ ${text}`;
}

/** @returns {Command} */
function createProgram() {
  const program = new Command("arkor")
    .description("Fine-tune open-weight language models from TypeScript.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .addHelpText("after", example("arkor start --local"));

  program
    .command("start")
    .summary("run the project's training")
    .description(
      "Run the project's training and follow it to its end. The bundle in .arkor/build is " +
        "built first when it is missing, when an entry is given, or when a source has changed.",
    )
    .argument("[entry]", "the training entry (default: src/arkor/index.ts)")
    .option("--local", "train on this machine instead of in the cloud")
    .option("--dry-run", "have the backend do a short trial run")
    .option("--base-model <dir>", "with --local: a Hugging Face model directory to train on")
    .option("--port <number>", "with --local: the port of the local backend", parsePort)
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", example("arkor start --local --base-model ./models/smollm2"))
    .action(async (entry, options) => {
      const code = await require("./start.js").start(entry, options);
      process.exitCode = code;
    });

  program
    .command("build")
    .summary("bundle the training entry")
    .description("Bundle the training entry into .arkor/build/index.mjs.")
    .argument("[entry]", "the training entry (default: src/arkor/index.ts)")
    .helpOption("-h, --help", "print this help")
    .addHelpText("after", example("arkor build src/arkor/index.ts"))
    .action(async (entry) => {
      const { build } = require("./build.js");
      const bundle = await build(entry);
      process.stdout.write(`Built ${bundle.shown}\n`);
    });

  return program;
}

/**
 * Runs the command; never rejects. The exit code goes to `process.exitCode`, so that what is still
 * being written gets out.
 * @param {string[]} args without `node` and the script
 * @returns {Promise<void>}
 */
async function main(args) {
  for (const stream of [process.stdout, process.stderr]) stream.on("error", onWriteError);
  try {
    // Nothing to do is no error: it asks what there is.
    const wanted = args.length > 0 ? args : ["--help"];
    await createProgram().parseAsync(wanted, { from: "user" });
  } catch (error) {
    const told = error instanceof CommanderError ? usageError(error) : error;
    if (told === undefined) return;
    process.stderr.write(`${errorText(told)}\n`);
    process.exitCode = 1;
  }
}

/**
 * A reader that has gone (`arkor start | head -1`) is no reason to give up a run.
 * @param {NodeJS.ErrnoException} error
 */
function onWriteError(error) {
  if (error.code !== "EPIPE") throw error;
}

/**
 * Commander throws for `--help` and `--version` too; these are no errors.
 * @param {CommanderError} error
 * @returns {CliError | undefined}
 */
function usageError(error) {
  if (error.exitCode === 0) return undefined;
  return new CliError(error.message.replace(/^error: /, ""));
}

module.exports = { main };
