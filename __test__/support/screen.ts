// A terminal for tests: receives the output and shows what a person would see.
import { Writable } from "node:stream";

/** The control sequences that the live block uses: move up some rows, and erase everything after the cursor. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is about these
const CONTROL = /\u001b\[(\d+)A|\u001b\[J/y;

export class Screen extends Writable {
  readonly isTTY = true;
  readonly columns: number;
  readonly rows: number;
  /** All output so far, including control sequences. */
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

  /** The lines on the screen; the last one has the cursor. */
  get lines(): string[] {
    return [...this.#lines];
  }
}

/** A screen, typed as a stream of the process for the code under test. */
export function asStream(screen: Screen): NodeJS.WriteStream & Screen {
  return screen as unknown as NodeJS.WriteStream & Screen;
}
