// `node scripts/screenshots.mjs [--columns N] [--to DIR]`: creates the pictures of the command, by default in
// docs/images. Each shows a real run in a pseudo-terminal, as a terminal emulator rendered it, drawn as SVG
// in the colours of a dark and of a light terminal.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { spawn } from "@lydell/node-pty";
import xterm from "@xterm/headless";
import { root, say } from "./steps.mjs";
import { toSvg } from "./svg.mjs";

const { values: flags } = parseArgs({
  options: {
    columns: { type: "string", default: "100" },
    to: { type: "string", default: path.join(root, "docs/images") },
  },
});
const COLUMNS = Number(flags.columns);
/** More rows than any command prints, so that nothing scrolls out of the picture. */
const ROWS = 200;
const IMAGES = path.resolve(flags.to);
/** The time limit for a step; the longest step trains a template. */
const LONGEST_MS = 100_000;
const ENTER = "\r";
const DOWN = "\u001b[B";

/** A shell with a prompt in a project, as a user has it. */
class Session {
  #terminal = new xterm.Terminal({ cols: COLUMNS, rows: ROWS, allowProposedApi: true });
  #shell;
  /** @type {Set<() => void>} */ #watchers = new Set();

  /**
   * @param {string} cwd
   * @param {NodeJS.ProcessEnv} env
   */
  constructor(cwd, env) {
    /** @type {NodeJS.ProcessEnv} */
    // Without these, messages would suggest commands of the package manager that runs this script.
    const { npm_config_user_agent: _, npm_execpath: __, ...inherited } = process.env;
    /** @type {NodeJS.ProcessEnv} */
    const all = { ...inherited, ...env, PS1: "$ ", TERM: "xterm-256color" };
    for (const name of ["CI", "NO_COLOR", "FORCE_COLOR"]) delete all[name];
    this.#shell = spawn("/bin/sh", [], { cwd, cols: COLUMNS, rows: ROWS, env: all });
    this.#shell.onData((data) => {
      this.#terminal.write(data, () => {
        for (const look of [...this.#watchers]) look();
      });
    });
  }

  get #screen() {
    const { active } = this.#terminal.buffer;
    return Array.from({ length: active.length }, (_, row) =>
      active.getLine(row)?.translateToString(true),
    ).join("\n");
  }

  /** @param {string} keys */
  type(keys) {
    this.#shell.write(keys);
  }

  /**
   * @param {RegExp} pattern
   * @returns {Promise<void>} resolves when the screen shows it
   */
  until(pattern) {
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new Error(`${pattern} never came:\n${this.#screen}`));
      const timer = setTimeout(giveUp, LONGEST_MS);
      const look = () => {
        if (!pattern.test(this.#screen)) return;
        clearTimeout(timer);
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  /**
   * @param {string} name
   * @param {string} title
   */
  picture(name, title) {
    writeFileSync(path.join(IMAGES, `${name}.svg`), toSvg(this.#terminal, title));
    say(path.join(IMAGES, `${name}.svg`));
  }

  clear() {
    this.type(`clear${ENTER}`);
    return this.until(/^\$ \n*$/);
  }

  end() {
    this.#shell.kill();
    this.#terminal.dispose();
  }
}

/** Creates a directory in which `arkor` is the one of this checkout. */
function workplace() {
  const home = mkdtempSync(path.join(tmpdir(), "arkor-pictures-"));
  const cwd = path.join(home, "tickets");
  const bin = path.join(home, "bin");
  mkdirSync(bin);
  symlinkSync(path.join(root, "bin/arkor.js"), path.join(bin, "arkor"));
  mkdirSync(path.join(cwd, "node_modules"), { recursive: true });
  symlinkSync(root, path.join(cwd, "node_modules/arkor"), "junction");
  const PATH = `${bin}${path.delimiter}${process.env.PATH}`;
  return { home, cwd, env: { PATH, HOME: home } };
}

/** @param {Session} session */
async function pictureInit(session) {
  await session.until(/\$ /);
  session.type(`arkor init${ENTER}`);
  await session.until(/What's the project's name\?/);
  session.type(ENTER);
  await session.until(/● Triage/);
  session.type(DOWN);
  await session.until(/● Translate/);
  session.picture("init-question", "arkor init");
  session.type("\u001b[A");
  await session.until(/● Triage/);
  session.type(ENTER);
  await session.until(/AGENTS\.md/);
  session.type("n");
  await session.until(/Install with/);
  session.type("n");
  await session.until(/git repository\?/);
  session.type("n");
  await session.until(/Next:[\s\S]*\n\$ $/m);
  session.picture("init", "arkor init");
}

/** @param {Session} session */
async function pictureStart(session) {
  await session.clear();
  session.type(`arkor start --local${ENTER}`);
  await session.until(/After 200 steps:[\s\S]*2[1-8]\d\/300[\s\S]*samples\/s/);
  session.picture("start-running", "arkor start --local");
  await session.until(/Adapter: \S+[\s\S]*\n\$/);
  session.picture("start-finished", "arkor start --local");
}

/** @param {Session} session */
async function pictureChat(session) {
  await session.clear();
  session.type(`arkor chat -m "My card was charged twice."${ENTER}`);
  await session.until(/billing\n\$ $/m);
  session.picture("chat", "arkor chat");
}

/** @param {Session} session */
async function pictureJobs(session) {
  session.type(`arkor start --local --dry-run${ENTER}`);
  await session.until(/all runs +arkor jobs\n\$ $/m);
  await session.clear();
  session.type(`arkor jobs${ENTER}`);
  await session.until(/STATUS[\s\S]*\n\$ $/m);
  session.picture("jobs", "arkor jobs");
}

mkdirSync(IMAGES, { recursive: true });
const { home, cwd, env } = workplace();
const session = new Session(cwd, env);
try {
  await pictureInit(session);
  await pictureStart(session);
  await pictureChat(session);
  await pictureJobs(session);
} finally {
  session.end();
  rmSync(home, { recursive: true, force: true });
}
