// `npm create arkor` with each package manager that has its own rules, from an empty directory with an empty
// home. The project is created, installed without a complaint, type-checked and built. On request, the
// template is trained and its model gets a chat. The package managers come from npm packages, and so does a
// version of Node that's new enough for all of them.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { root, say, step } from "../steps.mjs";
import { execute } from "./project.mjs";

/**
 * @typedef {object} Manager
 * @property {string} from the npm package that contains it
 * @property {string} program
 * @property {string} exec the program that runs a command of an installed package
 * @property {string} [separator] the argument that must precede the flags of another program
 * @property {RegExp} [complaint] the message that it prints about an install script without a setting
 */

const NODE = "node@24";
const APP = "my-app";
const TICKET = "My card was charged twice.";
const TEAM = "billing";

/**
 * @typedef {object} Result
 * @property {string} name
 * @property {boolean} passed
 * @property {number} seconds from the first command to the last
 * @property {number} keys how many keys a person types for the commands
 */

/** @type {Manager[]} */
const MANAGERS = [
  { from: "npm@11", program: "npm", exec: "npx", separator: "--", complaint: /allowScripts/ },
  { from: "npm@12", program: "npm", exec: "npx", separator: "--", complaint: /allowScripts/ },
  { from: "pnpm@10", program: "pnpm", exec: "pnpm", complaint: /Ignored build scripts/ },
  { from: "pnpm@11", program: "pnpm", exec: "pnpm", complaint: /Ignored build scripts/ },
  { from: "@yarnpkg/cli-dist@4", program: "yarn", exec: "yarn", complaint: /have been disabled/ },
  // Bun has no setting to deny a script: it prints one line about the one that it blocked.
  { from: "bun@1", program: "bun", exec: "bunx" },
];

/**
 * @param {string} registry
 * @param {{ train: boolean }} options whether each project also trains its template and chats with the model
 * @returns {Promise<Result[]>}
 */
export async function tryManagers(registry, { train }) {
  const node = path.join(fetched(NODE), "node/bin");
  const results = [];
  for (const manager of MANAGERS) {
    const home = mkdtempSync(path.join(tmpdir(), "arkor-manager-"));
    const PATH = [path.join(fetched(manager.from), ".bin"), node, process.env.PATH];
    const env = { ...environment(home, registry), PATH: PATH.join(path.delimiter) };
    const { output, ...result } = await tryManager(manager, home, env, train);
    results.push(result);
    say(`${result.passed ? "works" : "FAILS"}: ${result.name}`);
    if (!result.passed) say(output);
    rmSync(home, { recursive: true, force: true });
  }
  return results;
}

/**
 * @param {string} spec
 * @returns {string} the node_modules that contains the package, which is kept for the next time
 */
function fetched(spec) {
  const directory = path.join(root, "target/managers", spec.replace(/\W+/g, "-"));
  const modules = path.join(directory, "node_modules");
  if (!existsSync(modules)) {
    mkdirSync(directory, { recursive: true });
    // The packages of Bun and Node need their install scripts.
    const flags = ["--no-audit", "--no-fund", "--no-package-lock", "--silent"];
    step("npm", ["install", ...flags, "--prefix", directory, spec], directory);
  }
  return modules;
}

/**
 * @param {string} home
 * @param {string} registry
 * @returns {Record<string, string | undefined>}
 */
function environment(home, registry) {
  writeFileSync(path.join(home, ".gitconfig"), "[user]\nname = A User\nemail = user@arkor.test\n");
  // npm's own variables belong to the npm that runs this script.
  const inherited = Object.keys(process.env).filter((name) => /^npm_/i.test(name));
  return {
    ...Object.fromEntries(inherited.map((name) => [name, undefined])),
    HOME: home,
    USERPROFILE: home,
    CI: undefined,
    NO_PROXY: "127.0.0.1",
    npm_config_registry: registry,
    pnpm_config_registry: registry,
    YARN_NPM_REGISTRY_SERVER: registry,
    YARN_UNSAFE_HTTP_WHITELIST: "127.0.0.1",
    YARN_ENABLE_TELEMETRY: "0",
    BUN_CONFIG_REGISTRY: registry,
  };
}

/**
 * @param {Manager} manager
 * @param {string} home
 * @param {Record<string, string | undefined>} env
 * @param {boolean} train
 */
async function tryManager({ program, exec, separator, complaint }, home, env, train) {
  const [place, app] = [path.join(home, "work"), path.join(home, "work", APP)];
  mkdirSync(place);
  const version = (await execute(place, [program, "--version"], env)).stdout.trim();
  const flags = (/** @type {string[]} */ ...all) => [...(separator ? [separator] : []), ...all];
  const yes = program === "npm" ? ["--yes"] : [];
  const create = [
    program,
    "create",
    ...yes,
    "arkor",
    APP,
    ...flags("--yes", "--git", "--agents-md"),
  ];
  const checks = [
    [program, "run", "typecheck"],
    [program, "run", "build"],
  ];
  const chat = [exec, "arkor", "chat", "-m", TICKET];
  const road = train ? [[program, "run", "train:local"], chat] : checks;
  let [output, seconds] = ["", 0];
  const state = () => ({
    name: `${program} ${version}`,
    seconds,
    keys: keysOf([create, ...road]),
    output,
  });
  for (const command of [create, ...road, ...(train ? checks : [])]) {
    const began = performance.now();
    const result = await execute(command === create ? place : app, command, env);
    if (!checks.includes(command)) seconds += (performance.now() - began) / 1000;
    output += `$ ${command.join(" ")}\n${result.output}`;
    const isRight = command !== chat || result.stdout.trim().endsWith(TEAM);
    if (result.code !== 0 || !isRight) return { ...state(), passed: false };
  }
  const status = await execute(app, ["git", "status", "--porcelain"], env);
  output += `$ git status --porcelain\n${status.output}`;
  // Messages about the package manager's own copy of create-arkor come before this.
  const project = output.slice(output.indexOf("Created package.json"));
  const passed = status.code === 0 && status.output === "" && !complaint?.test(project);
  return { ...state(), passed };
}

/**
 * The keys to type for the commands, each with Enter, and to change into the project.
 * @param {string[][]} commands
 */
function keysOf(commands) {
  const quoted = (/** @type {string} */ word) => (word.includes(" ") ? `"${word}"` : word);
  const typed = commands.map((command) => `${command.map(quoted).join(" ")}\n`);
  return [`cd ${APP}\n`, ...typed].join("").length;
}
