// A real pseudo-terminal with a terminal emulator behind it: shows what a person sees of a command, and sends
// the person's key presses.
import { type IPty, spawn } from "@lydell/node-pty";
import { Terminal as Emulator } from "@xterm/headless";
import { onTestFinished } from "vitest";
import { ARKOR, type RunOptions, UNMANAGED } from "./command.ts";

export const KEY = {
  enter: "\r",
  down: "\u001b[B",
  escape: "\u001b",
  backspace: "\u007f",
  ctrlC: "\u0003",
} as const;

export interface TerminalOptions extends RunOptions {
  columns?: number;
  rows?: number;
}

export class Terminal {
  /** All output so far, including control sequences. */
  raw = "";
  readonly exit: Promise<number>;
  #pty: IPty;
  #emulator: Emulator;
  #onChange = new Set<() => void>();
  #isOver = false;

  constructor(program: string, args: string[], options: TerminalOptions) {
    const { cwd, env = {}, columns: cols = 80, rows = 24 } = options;
    this.#emulator = new Emulator({ cols, rows, allowProposedApi: true, scrollback: 1000 });
    const name = env.TERM ?? "xterm-256color";
    this.#pty = spawn(program, args, { cwd, cols, rows, name, env: clean(env) });
    this.exit = new Promise((resolve) => {
      this.#pty.onData((data) => {
        this.raw += data;
        this.#emulator.write(data, () => this.#wake());
      });
      this.#pty.onExit(({ exitCode, signal }) => {
        // The callback of an empty write runs when all earlier output is on the screen.
        this.#emulator.write("", () => {
          this.#isOver = true;
          this.#wake();
          resolve(signal ? 128 + signal : exitCode);
        });
      });
    });
    onTestFinished(async () => {
      if (!this.#isOver) this.#pty.kill("SIGKILL");
      await this.exit;
      this.#emulator.dispose();
    });
  }

  /**
   * The lines on the screen and above it, without empty ones at the end. A line that the terminal had to wrap
   * counts as one line.
   */
  get lines(): string[] {
    const { active } = this.#emulator.buffer;
    const lines: string[] = [];
    for (let row = 0; row < active.length; row += 1) {
      const line = active.getLine(row);
      const continues = active.getLine(row + 1)?.isWrapped === true;
      const text = line?.translateToString(!continues) ?? "";
      if (line?.isWrapped) lines.push(`${lines.pop() ?? ""}${text}`);
      else lines.push(text);
    }
    while (lines.at(-1) === "") lines.pop();
    return lines;
  }

  get screen(): string {
    return this.lines.join("\n");
  }

  /** Whether the cursor is visible, according to the last sequence that showed or hid it. */
  get showsCursor(): boolean {
    return this.raw.lastIndexOf("\u001b[?25h") >= this.raw.lastIndexOf("\u001b[?25l");
  }

  press(...keys: string[]) {
    for (const key of keys) this.#pty.write(key);
  }

  /** Resolves when the program has redrawn its output. */
  async resize(columns: number, rows = 24) {
    const before = this.raw.length;
    // Resize the emulator first, like a window: the program is notified after the change.
    this.#emulator.resize(columns, rows);
    this.#pty.resize(columns, rows);
    await this.#when(() => this.raw.length > before);
  }

  /** Resolves once the screen matches the pattern. Rejects if the command ends first. */
  async until(pattern: RegExp): Promise<RegExpMatchArray> {
    let match: RegExpMatchArray | null = null;
    await this.#when(() => {
      match = this.screen.match(pattern);
      return match !== null;
    });
    if (match === null) throw new Error(`never showed ${pattern}:\n${this.screen}`);
    return match;
  }

  /** Resolves once `holds` returns true, or the command has ended. */
  #when(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!holds() && !this.#isOver) return;
        this.#onChange.delete(look);
        resolve();
      };
      this.#onChange.add(look);
      look();
    });
  }

  #wake() {
    for (const wake of [...this.#onChange]) wake();
  }
}

/** Starts `arkor` with the arguments, in a new terminal. */
export function arkorAt(args: string[], options: TerminalOptions): Terminal {
  const [program, ...first] = ARKOR;
  return new Terminal(program, [...first, ...args], options);
}

/** Runs a line of `sh` in a terminal. `$ARKOR` in it is the command. */
export function shellAt(line: string, options: TerminalOptions): Terminal {
  const env = { ...options.env, ARKOR: ARKOR.join(" ") };
  return new Terminal("/bin/sh", ["-c", line], { ...options, env });
}

/** A user's environment: no CI, no forced colours, and no settings of the test runner. */
function clean(env: Record<string, string | undefined>): Record<string, string> {
  const own = {
    CI: undefined,
    FORCE_COLOR: undefined,
    NO_COLOR: undefined,
    ARKOR_DEBUG: undefined,
    ...UNMANAGED,
  };
  const all: Record<string, string | undefined> = {
    ...process.env,
    ...own,
    ...env,
  };
  return Object.fromEntries(
    Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
