// A terminal for tests: takes what is written to it and shows what a person would see.
import { Writable } from "node:stream";

const CLEAR_LINE = "\u001b[2K";

export class Screen extends Writable {
  readonly isTTY = true;
  readonly columns: number;
  /** Everything that was ever written, with the control sequences. */
  raw = "";
  #lines = [""];
  #column = 0;
  #colours: boolean;

  constructor({ columns = 80, colours = false } = {}) {
    super({ decodeStrings: false });
    this.columns = columns;
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
      if (text.startsWith(CLEAR_LINE, at)) {
        this.#lines[this.#lines.length - 1] = "";
        at += CLEAR_LINE.length;
      } else {
        this.#put(text[at] ?? "");
        at += 1;
      }
    }
    done();
  }

  #put(character: string) {
    if (character === "\n") {
      this.#lines.push("");
      this.#column = 0;
    } else if (character === "\r") {
      this.#column = 0;
    } else {
      const line = (this.#lines.at(-1) ?? "").padEnd(this.#column);
      const after = line.slice(this.#column + 1);
      this.#lines[this.#lines.length - 1] = line.slice(0, this.#column) + character + after;
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
