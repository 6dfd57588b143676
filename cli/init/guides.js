// The texts that `arkor init` writes for the next steps: the project's README, the block in AGENTS.md for
// coding agents, and the last lines of the command's output.

const { INDENT, wrap } = require("../facts.js");
const { TEMPLATES } = require("./templates.js");
const { execCommand, runCommand } = require("./packages.js");
const { SCRIPTS } = require("./project.js");

/** @typedef {import("./packages.js").PackageManager} PackageManager */

/**
 * @typedef {object} Made
 * @property {string} name
 * @property {import("./templates.js").TemplateName} template
 * @property {PackageManager} manager
 * @property {Record<string, any>} manifest the current package.json
 * @property {string[]} files of the template
 */

const BEGIN = "<!-- arkor:begin -->";
const END = "<!-- arkor:end -->";
const DOCS = "node_modules/arkor/docs/README.md";
const DATA_FORMATS = "node_modules/arkor/docs/data-formats.md";

/**
 * The command that runs one of arkor's scripts. If the project already had a script of that name, the command
 * doesn't use it.
 * @param {{ manager: PackageManager, manifest: Record<string, any> }} project
 * @param {keyof typeof SCRIPTS} script
 */
function call({ manager, manifest }, script) {
  const ours = SCRIPTS[script];
  return manifest.scripts?.[script] === ours
    ? runCommand(manager, script)
    : execCommand(manager, ours);
}

/**
 * @param {Made} made
 * @returns {string}
 */
function readme(made) {
  const { name, template, manager, files } = made;
  const { hint } = TEMPLATES.find(({ value }) => value === template) ?? TEMPLATES[0];
  const data = files.filter((file) => file.startsWith("data/"));
  const rows = [
    [call(made, "train:local"), "trains on this machine: no account, no GPU"],
    [call(made, "start"), "trains in the cloud"],
    [execCommand(manager, "arkor chat"), "talks to the model that was trained last"],
    [call(made, "dev"), "opens Studio, to run, watch and ask in a browser"],
    [call(made, "typecheck"), "checks the types"],
    [call(made, "build"), "bundles the entry into `.arkor/build/index.mjs`"],
  ];
  return `# ${name}

Fine-tunes a language model with arkor. It was made from the template ${template}: ${hint}.

\`\`\`sh
${manager} install
${call(made, "train:local")}
${execCommand(manager, 'arkor chat -m "…"')}
\`\`\`

| command | does |
| --- | --- |
${rows.map(([command, does]) => `| \`${command}\` | ${does} |`).join("\n")}

## Files

- \`src/arkor/trainer.ts\`: the run and its callbacks
- \`arkor.config.ts\`: the model, the data and the number of steps
${data.map((file) => `- \`${file}\`: ${roleOf(file)}, one example per line`).join("\n")}
- \`.arkor/\`: jobs, checkpoints and adapters; not in git

## Next steps

1. Train as it is, and look at what it prints.
2. Put your own examples into \`data/\`, in the same form. [Your own CSV](${DATA_FORMATS}#csv): a script that makes
   the files of it.
3. Choose a larger base model in \`arkor.config.ts\`. Without it on this machine, the small built-in one
   stands in.

The documentation is in [\`${DOCS}\`](${DOCS}).
`;
}

/** @param {string} file */
function roleOf(file) {
  return /held-?out|eval|test/.test(file) ? "what it is scored on" : "what it learns from";
}

/**
 * @param {Made} made
 * @returns {string}
 */
function agentsBlock(made) {
  const { manager } = made;
  const run = (/** @type {string} */ command) => execCommand(manager, `arkor ${command}`);
  return `${BEGIN}
## arkor

This project fine-tunes a language model with arkor. Read the documentation before you change a trainer;
its options and callbacks differ from those of other libraries:

- \`${DOCS}\`: the index of all pages
- \`node_modules/arkor/index.d.ts\`: every option and type, with defaults

\`src/arkor/index.ts\` is the entry, and \`src/arkor/trainer.ts\` has the run and its callbacks. \`arkor.config.ts\`
has the model, the data and the number of steps. \`data/*.jsonl\` has one example per line.

- After a change: \`${call(made, "typecheck")}\`, then \`${run("start --local --dry-run")}\`, which trains a few
  steps on this machine. It needs no account and no network.
- Train: \`${call(made, "train:local")}\`. It can take minutes; it exits with 0 if the run completed, else with 1.
- Look: \`${run("jobs --json")}\`. Ask the trained model: \`${run('chat -m "…" --json')}\`.
- Without \`--local\`, \`arkor start\` trains in the cloud: only do that if you're asked to.
- \`arkor dev\` and \`arkor local\` run until they're stopped: don't wait for them to end.
- \`.arkor/\` is generated. Don't edit or commit it.
${END}
`;
}

/**
 * @param {string | undefined} before the text of AGENTS.md, if it exists
 * @param {Made} made
 * @returns {string | undefined} undefined if it already has the block
 */
function agentsWith(before, made) {
  const block = agentsBlock(made);
  if (before === undefined || before === "") return block;
  if (before.includes(BEGIN)) return undefined;
  const gap = before.endsWith("\n") ? "\n" : "\n\n";
  const text = `${before}${gap}${block}`;
  return before.includes("\r\n") ? text.replace(/\r?\n/g, "\r\n") : text;
}

/**
 * @param {{ manager: PackageManager, manifest: Record<string, any> }} project
 * @param {object} state
 * @param {string} state.directory relative to where the user is; empty if the user is there
 * @param {boolean} state.installed
 * @param {number} [columns] of the terminal
 * @returns {string[]} lines
 */
function nextSteps(project, { directory, installed }, columns = Number.POSITIVE_INFINITY) {
  const { manager } = project;
  const steps = [
    ...(directory === ""
      ? []
      : [[`cd ${/\s/.test(directory) ? `"${directory}"` : directory}`, ""]]),
    ...(installed ? [] : [[`${manager} install`, ""]]),
    [call(project, "train:local"), "train on this machine"],
    [execCommand(manager, "arkor chat"), "ask the model that came out"],
    [call(project, "dev"), "open Studio, to do both in a browser"],
  ];
  const width = Math.max(...steps.map(([command]) => command.length));
  const lines = steps.map(([command, does]) =>
    `${INDENT}${command.padEnd(width + 4)}${does}`.trimEnd(),
  );
  if (lines.every((line) => line.length < columns)) return ["", "Next:", ...lines];
  const below = steps.flatMap(([command, does]) => [
    INDENT + command,
    ...wrap(does, columns - 5).map((line) => `${INDENT}${INDENT}${line}`.trimEnd()),
  ]);
  return ["", "Next:", ...below.filter((line) => line !== "")];
}

module.exports = { agentsWith, nextSteps, readme };
