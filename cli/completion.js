// `arkor completion`: generates the completion scripts for bash, zsh and fish from the definitions of the
// commands.

/**
 * @typedef {object} Flag
 * @property {string} long including its dashes
 * @property {string | undefined} short
 * @property {string} description
 * @property {Value | undefined} value undefined for a switch
 */

/**
 * The kind of a value; an array lists all choices. Jobs come from the project's local store, which needs no
 * backend.
 * @typedef {"file" | "directory" | "job" | "job or file" | "other" | string[]} Value
 */

/**
 * @typedef {object} Words
 * @property {string} name of a command, including its parent's name
 * @property {string} description
 * @property {Flag[]} flags
 * @property {Value | undefined} value
 * @property {string[]} children the names of its subcommands, without the parent's
 */

const { STORE } = require("./local/store.js");

const SHELLS = /** @type {const} */ (["bash", "zsh", "fish"]);

/** For bash and zsh: lists the jobs of the nearest store. */
const JOBS = `_arkor_jobs() {
  local dir="$PWD"
  while [[ -n "$dir" && ! -d "$dir/${STORE}/jobs" ]]; do dir="\${dir%/*}"; done
  command ls "$dir/${STORE}/jobs" 2>/dev/null
}`;
const FISH_JOBS = `function __arkor_jobs
  set -l dir $PWD
  while test -n "$dir"; and not test -d "$dir/${STORE}/jobs"
    set dir (string replace -r '/[^/]*$' '' -- $dir)
  end
  command ls "$dir/${STORE}/jobs" 2>/dev/null
end`;

/**
 * @param {import("commander").Command} program
 * @param {typeof SHELLS[number]} shell
 * @returns {string}
 */
function completionScript(program, shell) {
  const help = program.createHelp();
  const commands = help
    .visibleCommands(program)
    .flatMap((command) => [
      wordsOf(help, command),
      ...help.visibleCommands(command).map((child) => wordsOf(help, child, command.name())),
    ]);
  const root = wordsOf(help, program);
  return { bash, zsh, fish }[shell](commands, root);
}

/**
 * @param {import("commander").Help} help
 * @param {import("commander").Command} command
 * @param {string} [parent]
 * @returns {Words}
 */
function wordsOf(help, command, parent) {
  const flags = help.visibleOptions(command).map((option) => ({
    long: option.long ?? "",
    short: option.short,
    description: option.description,
    value:
      option.required || option.optional ? expected(option.argChoices, option.flags) : undefined,
  }));
  const kinds = command.registeredArguments.map((one) => expected(one.argChoices, one.name()));
  const children = help.visibleCommands(command).map((child) => child.name());
  const takesJobAndFile = kinds.includes("job") && kinds.includes("file");
  const own = takesJobAndFile ? "job or file" : kinds.at(-1);
  const value = children.length > 0 ? children : own;
  const name = parent === undefined ? command.name() : `${parent} ${command.name()}`;
  return { name, description: command.summary(), flags, value, children };
}

/** @param {Words[]} commands */
function topOf(commands) {
  return commands.filter(({ name }) => !name.includes(" "));
}

/** @param {Words[]} commands */
function nestedNames(commands) {
  return commands.map(({ name }) => name).filter((name) => name.includes(" "));
}

/**
 * @param {string[] | undefined} choices
 * @param {string} text the name of the argument, or the spelling of the flag
 * @returns {Value}
 */
function expected(choices, text) {
  if (choices) return choices;
  if (text.includes("dir")) return "directory";
  if (/job|target/.test(text)) return "job";
  return /entry|<(?:file|path)>/.test(text) ? "file" : "other";
}

/** @param {Words} words */
function spellings({ flags }) {
  return flags.flatMap(({ long, short }) => (short ? [short, long] : [long]));
}

/**
 * @param {Words[]} commands
 * @param {Words} root
 */
function bash(commands, root) {
  const reply = (/** @type {Value} */ value) => {
    if (value === "file") return "compopt -o default 2>/dev/null; COMPREPLY=()";
    if (value === "directory")
      return 'compopt -o dirnames 2>/dev/null; COMPREPLY=($(compgen -d -- "$word"))';
    if (value === "job") return 'COMPREPLY=($(compgen -W "$(_arkor_jobs)" -- "$word"))';
    if (value === "job or file")
      return 'compopt -o default 2>/dev/null; COMPREPLY=($(compgen -W "$(_arkor_jobs)" -- "$word"))';
    return value === "other"
      ? "COMPREPLY=()"
      : `COMPREPLY=($(compgen -W "${value.join(" ")}" -- "$word"))`;
  };
  const values = commands.flatMap(({ name, flags }) =>
    flags.flatMap(({ long, value }) =>
      value ? [`    "${name} ${long}") ${reply(value)}; return ;;`] : [],
    ),
  );
  const words = commands.map(
    (command) => `    "${command.name}") words="${spellings(command).join(" ")}" ;;`,
  );
  const entries = commands.flatMap(({ name, value }) =>
    value ? [`    "${name}") ${reply(value)} ;;`] : [],
  );
  const names = topOf(commands).map(({ name }) => name);
  const quoted = (/** @type {string[]} */ all) => all.map((name) => `"${name}"`).join("|");
  return `# bash completion for arkor. Add to ~/.bashrc: source <(arkor completion bash)
${JOBS}
_arkor() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" command="" words="" one
  COMPREPLY=()
  for one in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$command $one" in
    ${quoted(names.map((name) => ` ${name}`))}) command="$one" ;;
    ${quoted(nestedNames(commands))}) command="$command $one" ;;
    esac
  done
  if [[ -z "$command" ]]; then
    COMPREPLY=($(compgen -W "${[...names, ...spellings(root)].join(" ")}" -- "$word"))
    return
  fi
  case "$command $before" in
${values.join("\n")}
  esac
  if [[ "$word" == -* ]]; then
    case "$command" in
${words.map((line) => `  ${line}`).join("\n")}
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    return
  fi
  case "$command" in
${entries.join("\n")}
  esac
}
complete -F _arkor arkor
`;
}

/**
 * @param {Words[]} commands
 * @param {Words} root
 */
function zsh(commands, root) {
  const quote = (/** @type {string} */ text) =>
    text.replaceAll("'", "'\\''").replace(/[[\]:]/g, "\\$&");
  const action = (/** @type {Value} */ value) => {
    if (value === "file") return "_files";
    if (value === "directory") return "_files -/";
    if (value === "job") return "{compadd -- $(_arkor_jobs)}";
    if (value === "job or file") return "{compadd -- $(_arkor_jobs); _files}";
    return value === "other" ? " " : `(${value.join(" ")})`;
  };
  /** @param {Flag} flag */
  const spec = ({ long, short, description, value }) => {
    const text = `[${quote(description)}]${value ? `:${long.slice(2)}:${action(value)}` : ""}`;
    return short ? `'(${short} ${long})'{${short},${long}}'${text}'` : `'${long}${text}'`;
  };
  const cases = commands.map((command) => {
    const specs = command.flags.map(spec);
    if (command.value) specs.push(`'*:${command.name}:${action(command.value)}'`);
    return `    "${command.name}") _arguments ${specs.join(" \\\n      ")} ;;`;
  });
  const list = topOf(commands).map(
    ({ name, description }) => `    '${name}:${quote(description)}'`,
  );
  return `#compdef arkor
# zsh completion for arkor. Add to ~/.zshrc, after compinit: source <(arkor completion zsh)
${JOBS}
_arkor() {
  local -a commands=(
${list.join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    _arguments ${root.flags.map(spec).join(" ")}
    return
  fi
  local command="$words[2]"
  shift words
  (( CURRENT-- ))
  if (( CURRENT > 2 )); then
    case "$command $words[2]" in
    ${nestedNames(commands)
      .map((name) => `"${name}"`)
      .join("|")}) command="$command $words[2]"; shift words; (( CURRENT-- )) ;;
    esac
  fi
  case "$command" in
${cases.join("\n")}
  esac
}
compdef _arkor arkor
`;
}

/**
 * @param {Words[]} commands
 * @param {Words} root
 */
function fish(commands, root) {
  const quote = (/** @type {string} */ text) => `'${text.replace(/['\\]/g, "\\$&")}'`;
  const action = (/** @type {Value} */ value) => {
    if (value === "file") return " -r -F";
    if (value === "directory") return " -x -a '(__fish_complete_directories)'";
    if (value === "job") return " -x -a '(__arkor_jobs)'";
    if (value === "job or file") return " -r -F -a '(__arkor_jobs)'";
    return value === "other" ? " -x" : ` -x -a ${quote(value.join(" "))}`;
  };
  const flag =
    (/** @type {string} */ condition) =>
    (/** @type {Flag} */ { long, short, description, value }) =>
      `complete -c arkor -n ${condition}${short ? ` -s ${short.slice(1)}` : ""} -l ${long.slice(2)}${value ? action(value) : ""} -d ${quote(description)}`;
  const lines = commands.flatMap((command) => {
    const [own = "", child] = command.name.split(" ");
    const seen = (/** @type {string[]} */ ...names) =>
      names.map((name) => `__fish_seen_subcommand_from ${name}`).join("; and ");
    const before = child === undefined ? "__fish_use_subcommand" : quote(seen(own));
    const { value, children } = command;
    const condition = quote(seen(...command.name.split(" ")));
    return [
      `complete -c arkor -n ${before} -a ${child ?? own} -d ${quote(command.description)}`,
      ...command.flags.map(flag(condition)),
      ...(value && children.length === 0 && value !== "other"
        ? [`complete -c arkor -n ${condition}${action(value)}`]
        : []),
    ];
  });
  return `# fish completion for arkor. Save as ~/.config/fish/completions/arkor.fish
${FISH_JOBS}
complete -c arkor -f
${root.flags.map(flag("__fish_use_subcommand")).join("\n")}
${lines.join("\n")}
`;
}

module.exports = { SHELLS, completionScript };
