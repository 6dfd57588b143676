// `npm create arkor` with each package manager that has rules of its own, from an empty directory with
// an empty home: the project is made, installed without a complaint, type-checked and built. The package
// managers come as npm packages, and so does a Node that is new enough for all of them.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { root, say, step } from "../steps.mjs";
import { execute } from "./project.mjs";

/**
 * @typedef {object} Manager
 * @property {string} from the npm package that it comes in
 * @property {string} program
 * @property {string} [separator] what has to stand before the flags of another program
 * @property {RegExp} [complaint] what it prints when it wants to know about an install script
 */

const NODE = "node@24";
const APP = "my-app";

/** @type {Manager[]} */
const MANAGERS = [
  { from: "npm@11", program: "npm", separator: "--", complaint: /allowScripts/ },
  { from: "npm@12", program: "npm", separator: "--", complaint: /allowScripts/ },
  { from: "pnpm@10", program: "pnpm", complaint: /Ignored build scripts/ },
  { from: "pnpm@11", program: "pnpm", complaint: /Ignored build scripts/ },
  { from: "@yarnpkg/cli-dist@4", program: "yarn", complaint: /have been disabled/ },
  // Bun can't be told that a script isn't wanted: it says in one line that it has blocked one.
  { from: "bun@1", program: "bun" },
];

/**
 * @param {string} registry
 * @param {{ train: boolean }} options whether each project also trains a few steps
 * @returns {Promise<{ name: string, passed: boolean }[]>}
 */
export async function tryManagers(registry, { train }) {
  const node = path.join(fetched(NODE), "node/bin");
  const results = [];
  for (const manager of MANAGERS) {
    const home = mkdtempSync(path.join(tmpdir(), "arkor-manager-"));
    const PATH = [path.join(fetched(manager.from), ".bin"), node, process.env.PATH];
    const env = { ...environment(home, registry), PATH: PATH.join(path.delimiter) };
    const { name, passed, output } = await tryManager(manager, home, env, train);
    results.push({ name, passed });
    say(`${passed ? "works" : "FAILS"}: ${name}`);
    if (!passed) say(output);
    rmSync(home, { recursive: true, force: true });
  }
  return results;
}

/**
 * @param {string} spec
 * @returns {string} the node_modules that has the package; it's kept for the next time
 */
function fetched(spec) {
  const directory = path.join(root, "target/managers", spec.replace(/\W+/g, "-"));
  const modules = path.join(directory, "node_modules");
  if (!existsSync(modules)) {
    mkdirSync(directory, { recursive: true });
    // Bun's and Node's own packages need their install scripts.
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
  // npm's own variables are those of the npm that runs this.
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
async function tryManager({ program, separator, complaint }, home, env, train) {
  const [place, app] = [path.join(home, "work"), path.join(home, "work", APP)];
  mkdirSync(place);
  const version = (await execute(place, [program, "--version"], env)).stdout.trim();
  const name = `${program} ${version}`;
  const flags = (/** @type {string[]} */ ...all) => [...(separator ? [separator] : []), ...all];
  const yes = program === "npm" ? ["--yes"] : [];
  /** @type {[cwd: string, command: string[]][]} */
  const commands = [
    [place, [program, "create", ...yes, "arkor", APP, ...flags("--yes", "--git", "--agents-md")]],
    [app, [program, "run", "typecheck"]],
    [app, [program, "run", "build"]],
  ];
  if (train) commands.push([app, [program, "run", "train:local", ...flags("--dry-run")]]);
  let output = "";
  for (const [cwd, command] of commands) {
    const result = await execute(cwd, command, env);
    output += `$ ${command.join(" ")}\n${result.output}`;
    if (result.code !== 0) return { name, passed: false, output };
  }
  const status = await execute(app, ["git", "status", "--porcelain"], env);
  output += `$ git status --porcelain\n${status.output}`;
  // What the package manager says of its own copy of create-arkor comes before.
  const project = output.slice(output.indexOf("Created package.json"));
  const passed = status.code === 0 && status.output === "" && !complaint?.test(project);
  return { name, passed, output };
}
