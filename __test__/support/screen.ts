// A terminal for tests: takes what is written to it and shows what a person would see.
import { Writable } from "node:stream";

/** What the live block uses of a terminal: up some rows, and erase all from the cursor on. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is about these
const CONTROL = /\u001b\[(\d+)A|\u001b\[J/y;

export class Screen extends Writable {
  readonly isTTY = true;
  readonly columns: number;
  readonly rows: number;
  /** Everything that was ever written, with the control sequences. */
  raw = "";
  #lines = [""];
  #row = 0;
  #column = 0;
  #colours: boolean;

  constructor({ columns = 80, rows = 24, colours = false } = {}) {
    super({ decodeStrings: false });
    this.columns = columns;
    this.rows = rows;
    this.#colours = colours;
  }

  hasColors(): boolean {
    return this.#colours;
  }

  override _write(chunk: string | Buffer, _: BufferEncoding, done: () => void) {
    const text = chunk.toString();
    this.raw += text;
    let at = 0;
    while (at < text.length) {
      CONTROL.lastIndex = at;
      const [control, up] = CONTROL.exec(text) ?? [];
      if (up !== undefined) this.#row = Math.max(0, this.#row - Number(up));
      else if (control !== undefined) this.#erase();
      else this.#put(text[at] ?? "");
      at += control?.length ?? 1;
    }
    done();
  }

  #erase() {
    this.#lines.length = this.#row + 1;
    this.#lines[this.#row] = (this.#lines[this.#row] ?? "").slice(0, this.#column);
  }

  #put(character: string) {
    if (character === "\n") {
      this.#row += 1;
      this.#lines[this.#row] ??= "";
      this.#column = 0;
    } else if (character === "\r") {
      this.#column = 0;
    } else {
      const line = (this.#lines[this.#row] ?? "").padEnd(this.#column);
      const after = line.slice(this.#column + 1);
      this.#lines[this.#row] = line.slice(0, this.#column) + character + after;
      this.#column += 1;
    }
  }

  /** The lines that stand on the screen, the one with the cursor last. */
  get lines(): string[] {
    return [...this.#lines];
  }
}

/** A screen where the code under test expects a stream of the process. */
export function asStream(screen: Screen): NodeJS.WriteStream & Screen {
  return screen as unknown as NodeJS.WriteStream & Screen;
}
