// The commands, their arguments and their help. A command's module is loaded only when the command runs, so
// that `--help` loads neither esbuild nor the addon.

const { Argument, Command, InvalidArgumentError, Option } = require("commander");
const { version } = require("../package.json");
const { addLocalOptions, parseCount, parsePath } = require("./local/options.js");

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

/** @param {string} value */
function parseTemperature(value) {
  const temperature = Number(value);
  if (value.trim() === "" || !Number.isFinite(temperature) || temperature < 0) {
    throw new InvalidArgumentError("It must be a number, at least 0.");
  }
  return temperature;
}

/**
 * A path is relative to the user's directory. Anything else is a name.
 * @param {string} value
 */
function parseTarget(value) {
  return /^\.{1,2}(?:[/\\]|$)/.test(value) ? parsePath(value) : value;
}

/** @param {string} text */
function example(text) {
  return `\nExample:\n  $ ${text}`;
}

const ENTRY = "the training entry (default: src/arkor/index.ts)";
const LOCAL = "ask this project's local backend (default: if the project has no run in the cloud)";
const TARGET =
  "a job's id, <job>/<step> for a checkpoint, or a model (default: the newest completed job)";
const JOB = "the job's id, as arkor jobs lists it";
/** These commands don't need an existing project. */
const OUTSIDE = new Set(["init", "completion"]);

/** @returns {Command} */
function createProgram() {
  const program = new Command("arkor")
    .description("Fine-tune open-weight language models from TypeScript.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .addHelpText("after", example("arkor start --local"))
    .hook("preAction", (_, action) => {
      if (!OUTSIDE.has(action.name())) require("./project.js").enterProject();
    });

  /** @type {Define} */
  const command = (name, summary, shown, parent = program) =>
    parent
      .command(name)
      .summary(summary)
      .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
      .helpOption("-h, --help", "print this help")
      .addHelpText("after", example(`arkor ${shown}`));

  addProjectCommands(command);
  addRunCommands(command);
  addAccountCommands(command);
  addEngineCommands(command);
  command("info", "print versions, engines, devices and settings, for a bug report", "info --json")
    .option("--json", "print them as JSON")
    .action((options) => require("./info.js").showInfo(options));
  const { SHELLS, completionScript } = require("./completion.js");
  command("completion", "print a completion script for a shell", "completion bash >> ~/.bashrc")
    .addArgument(new Argument("<shell>", "the shell").choices(SHELLS))
    .action((shell) => void process.stdout.write(completionScript(program, shell)));
  return program;
}

/**
 * `shown` is the example's command line after `arkor `.
 * @typedef {(name: string, summary: string, shown: string, parent?: Command) => Command} Define
 */

/** @param {Define} command */
function addProjectCommands(command) {
  command("init", "make a project", "init my-app --template triage")
    .description("Create a project, ready to train. Never overwrites a file.")
    .argument("[dir]", "its directory, made if it isn't there (default: this one)")
    .option("-y, --yes", "don't ask anything, use the defaults")
    .option("--name <name>", "the project's name (default: the directory's)")
    .addOption(
      new Option("--template <template>", "what the project trains").choices([
        "triage",
        "translate",
        "redaction",
      ]),
    )
    .option("--skip-install", "install nothing")
    .option("--use-npm", "install with npm")
    .option("--use-pnpm", "install with pnpm")
    .option("--use-yarn", "install with yarn")
    .option("--use-bun", "install with bun")
    .option("--allow-builds", "let esbuild run its install script, which it doesn't need")
    .option("--agents-md", "tell coding agents how to work with arkor, in AGENTS.md")
    .option("--no-agents-md", "don't ask about AGENTS.md")
    .option("--git", "make it a git repository, with a first commit")
    .option("--skip-git", "don't ask whether to make it a git repository")
    .action((directory, options) => require("./init.js").init(directory, options));

  command("build", "bundle the training entry", "build src/arkor/index.ts")
    .description("Bundle the training entry into .arkor/build/index.mjs.")
    .argument("[entry]", ENTRY, parsePath)
    .action(async (entry) => {
      const { BUILT, build } = require("./build.js");
      const { print, say } = require("./output.js");
      const { notes } = await build(entry);
      for (const note of notes) say(`warning: ${note}`);
      print(`Built ${BUILT}`);
    });
}

/** @param {Define} command */
function addRunCommands(command) {
  const start = command(
    "start",
    "run the project's training",
    "start --local --base-model ./models/smollm2",
  )
    .description(
      "Build the training entry, run it, and follow the run to its end. " +
        "Ctrl-C stops watching; a second one cancels the run. A local run ends at the first Ctrl-C.",
    )
    .argument("[entry]", ENTRY, parsePath)
    .option("--local", "train on this machine instead of in the cloud")
    .option("--dry-run", "have the backend do a short trial run")
    .option(
      "--resume <job>",
      "with --local: go on from the last checkpoint of a job that failed or was cancelled",
    )
    .option("--port <number>", "with --local: the port of the local backend", parsePort)
    .action(async (entry, options) => {
      process.exitCode = await require("./start.js").start(entry, options);
    });

  const dev = command("dev", "open Studio, a page to run, watch and ask", "dev --local --open")
    .description(
      "Serve Studio on this machine, until Ctrl-C: a page to start runs, watch them, and ask the " +
        "models. Anyone who has the printed link can run this project's code.",
    )
    .option("-p, --port <number>", "its port (default: the first free one from 4000)", parsePort)
    .option("--open", "open it in the browser")
    .option("--local", "train on this machine instead of in the cloud")
    .action(async (options) => {
      process.exit(await require("./dev/index.js").dev(options));
    });

  command("attach", "watch a running job again", "attach job_0a1b2c")
    .description(
      "Watch a running job again, with the entry's callbacks. They see the run from its first event on.",
    )
    .argument("<jobId>", JOB)
    .argument("[entry]", ENTRY, parsePath)
    .option("--local", LOCAL)
    .action(async (jobId, entry, options) => {
      process.exitCode = await require("./attach.js").attach(jobId, entry, options);
    });

  const jobs = command("jobs", "list this project's jobs", "jobs --json")
    .helpCommand(false)
    .option("--json", "print what the backend says, as JSON")
    .option("--local", LOCAL)
    .action((options) => require("./jobs.js").showJobs(options));

  command("rm", "delete a local job with its files", "jobs rm job_0a1b2c", jobs)
    .argument("<job>", JOB)
    .option("-y, --yes", "don't ask")
    .action((jobId, options) => require("./remove.js").removeJob(jobId, options));

  command("cancel", "cancel a job", "cancel job_0a1b2c")
    .argument("<jobId>", JOB)
    .option("--local", LOCAL)
    .action((jobId, options) => require("./jobs.js").cancel(jobId, options));

  addModelCommands(command);

  const local = command("local", "run the local backend alone, until Ctrl-C", "local --port 4820")
    .description(
      "Run the local backend alone, until Ctrl-C, and print how to point a project at it.",
    )
    .option("--port <number>", "its port (default: a free one)", parsePort)
    .option(
      "--listen <address:port>",
      "where other machines can call endpoints with keys, over TLS",
    )
    .option("--tls-cert <file>", "with --listen: the certificate, in PEM", parsePath)
    .option("--tls-key <file>", "with --listen: the certificate's private key, in PEM", parsePath)
    .action((options) => require("./local/serve.js").serveLocally(options));

  for (const one of [start, dev]) addLocalOptions(one);
  addLocalOptions(local, { always: true });
}

/** @param {Define} command */
function addModelCommands(command) {
  command("chat", "talk to a model of this project", 'chat -m "Where is my parcel?"')
    .description(
      "Talk to a model of this project. With -m, or when stdin isn't a terminal, it answers once; text on " +
        "stdin follows the message of -m.",
    )
    .argument("[target]", TARGET, parseTarget)
    .option("-m, --message <text>", "ask this, and end after the answer")
    .option("--system <text>", "the system prompt")
    .option(
      "--temperature <number>",
      "0 takes the likeliest tokens (default: the backend's)",
      parseTemperature,
    )
    .option("--max-tokens <number>", "the longest answer (default: the backend's)", parseCount(1))
    .option("--json", "print answer, model, usage and finishReason as one JSON object")
    .option("--local", LOCAL)
    .action(async (target, options) => {
      process.exitCode = await require("./chat.js").chat(target, options);
    });

  command("export", "take a local job's model out", "export job_0a1b2c --to triage --format ollama")
    .description(
      "Write the model that a local job has trained to a folder, for other programs: its adapter for " +
        "PEFT, merged weights for transformers and vLLM, or GGUF for llama.cpp and Ollama.",
    )
    .argument(
      "[job]",
      "a local job's id, or <job>/<step> for a checkpoint (default: the newest completed job)",
    )
    .requiredOption("--to <dir>", "the folder that is written", parsePath)
    .addOption(
      new Option("--format <format>", "what is written")
        .choices(["peft", "merged", "gguf", "ollama"])
        .default("peft"),
    )
    .addOption(
      new Option(
        "--quantize <type>",
        "with gguf and ollama: the weights' type (default: q8_0)",
      ).choices(["f16", "q8_0", "q4_0"]),
    )
    .option("--checkpoint <step>", "a checkpoint instead of the final adapter", parseCount(0))
    .option("--base-model <path>", "where its base is, if not where it was trained from", parsePath)
    .option("--force", "write into a folder that isn't empty")
    .action(async (job, options) => {
      process.exitCode = await require("./export.js").exportJob(job, options);
    });
}

/** @param {Define} command */
function addAccountCommands(command) {
  command("login", "sign in", "login --anonymous")
    .description(
      "Sign in with an anonymous identity, or with an account in the browser. Asks which; without a terminal, it's anonymous.",
    )
    .option("--anonymous", "without an account")
    .option("--oauth", "with an account, in the browser")
    .option("--no-browser", "print the page's address instead of opening it")
    .action((options) => require("./login.js").login(options));

  command("logout", "delete the credentials", "logout -f")
    .option("-f, --force", "without asking")
    .action((options) => require("./logout.js").logout(options));

  command("whoami", "print who is signed in", "whoami --json")
    .option("--json", "print user and orgs as one JSON object")
    .action((options) => require("./whoami.js").showIdentity(options));
}

/** @param {Define} command */
function addEngineCommands(command) {
  const engine = command(
    "engine",
    "list, install and remove what trains on this machine",
    "engine install torch",
  ).helpCommand(false);
  const which = () => new Argument("<engine>", "the engine").choices(["torch"]);

  command("list", "list the engines", "engine list", engine)
    .option("--json", "print them as JSON")
    .action((options) => require("./engine/list.js").listEngines(options));

  command("install", "install an engine", "engine install torch", engine)
    .description("Install an engine into this user's cache, with Python packages from PyPI.")
    .addArgument(which())
    .option("--ray", "with Ray, to train on a cluster")
    .option("--cpu", "PyTorch's build for the CPU (default: if there is no NVIDIA GPU)")
    .option("--cuda", "PyTorch's build for NVIDIA GPUs (default: if there is one)")
    .option("-y, --yes", "don't ask")
    .action((_, options) => require("./engine/install.js").installTorch(options));

  command("remove", "remove an engine, outdated ones too", "engine remove torch", engine)
    .addArgument(which())
    .action(() => require("./engine/list.js").removeTorch());
}

module.exports = { createProgram };
