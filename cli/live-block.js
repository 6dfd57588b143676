// A block of lines at the bottom of the terminal that is redrawn in place. Other output of the process
// appears above it: the block is cleared, the text is written, and the block is drawn again. The cursor rests
// on the empty line below the block, where the terminal echoes keys.

/**
 * The shortest time between redraws. Ten redraws a second are enough; more would flicker and cost more than
 * the training's own log.
 */
const REDRAW_MS = 100;
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;

/** @typedef {typeof process.stderr.write} Write */
/** @typedef {{ text: string, width: number }} Line `width` in columns; `text` may have colours */

class LiveBlock {
  #terminal;
  #render;
  #wraps;
  /** The lines that are on the terminal now. @type {Line[]} */ #drawn = [];
  /** The last printed text didn't end its line, so drawing now would overwrite it. */
  #midLine = false;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #now;
  /** @type {NodeJS.Timeout | undefined} */ #timer;
  /** @type {(() => void)[]} */ #restore = [];
  #write;
  #clearAtExit = () => this.#clear();
  // Node prints warnings without `process.stderr.write`, in a listener that runs after this one. Resizing the
  // window moves the lines, too.
  #redraw = () => {
    this.#clear();
    this.update();
  };

  /**
   * @param {object} options
   * @param {NodeJS.WriteStream} options.terminal where the block is drawn
   * @param {NodeJS.WriteStream[]} options.streams all streams that write to the same terminal
   * @param {(columns: number) => Line[]} options.render returns the lines; each must be narrower than the
   *   terminal, because otherwise the cursor would stay at its edge
   * @param {boolean} [options.wraps] whether the terminal rewraps its lines when it is resized
   * @param {() => number} [options.now] ms
   */
  constructor({ terminal, streams, render, wraps = true, now = () => performance.now() }) {
    this.#terminal = terminal;
    this.#render = render;
    this.#wraps = wraps;
    this.#now = now;
    this.#write = terminal.write.bind(terminal);
    for (const stream of streams) this.#wrap(stream);
    process.once("exit", this.#clearAtExit);
    process.prependListener("warning", this.#redraw);
    terminal.on("resize", this.#redraw);
  }

  /** @param {NodeJS.WriteStream} stream */
  #wrap(stream) {
    const own = Object.getOwnPropertyDescriptor(stream, "write");
    const write = stream.write.bind(stream);
    const past = /** @type {Write} */ (
      (/** @type {any} */ chunk, /** @type {any} */ ...rest) => {
        this.#clear();
        const flushed = write(chunk, ...rest);
        if (chunk.length > 0) this.#midLine = !endsLine(chunk);
        this.update();
        return flushed;
      }
    );
    stream.write = past;
    this.#restore.push(() => {
      // If something else wrapped `write` later, that wrapper stays, with this one inside it.
      if (stream.write !== past) return;
      if (own) Object.defineProperty(stream, "write", own);
      else Reflect.deleteProperty(stream, "write");
    });
  }

  /** Schedules a redraw: at once, or when enough time has passed since the last one. */
  update() {
    if (this.#timer || this.#restore.length === 0) return;
    // Use a timer even if the redraw is due now, so that ten lines printed in a row cause one redraw.
    const wait = Math.max(0, this.#drawnAt + REDRAW_MS - this.#now());
    this.#timer = setTimeout(() => this.#draw(), wait);
    // The block alone must not keep the process alive.
    this.#timer.unref();
  }

  #draw() {
    this.#timer = undefined;
    if (this.#midLine || this.#restore.length === 0) return;
    // One row is for the cursor. Lines that scroll out of the window can't be cleared any more.
    const room = Math.max(0, (this.#terminal.rows || DEFAULT_ROWS) - 1);
    const lines = this.#render(this.#terminal.columns || DEFAULT_COLUMNS).slice(0, room);
    const text = lines.map((line) => `${line.text}\n`).join("");
    // Write everything at once, so that the block doesn't flicker.
    const change = `${this.#clearing()}${text}`;
    this.#drawn = lines;
    this.#drawnAt = this.#now();
    if (change !== "") this.#write(change);
  }

  #clear() {
    const clearing = this.#clearing();
    this.#drawn = [];
    if (clearing !== "") this.#write(clearing);
  }

  /** @returns {string} the sequence that clears the block */
  #clearing() {
    if (this.#drawn.length === 0) return "";
    const columns = this.#terminal.columns || DEFAULT_COLUMNS;
    const rows = this.#drawn.reduce(
      (sum, { width }) => sum + (this.#wraps ? Math.max(1, Math.ceil(width / columns)) : 1),
      0,
    );
    return `\r\x1b[${rows}A\x1b[J`;
  }

  /** Removes the block for good and restores the streams. */
  close() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#clear();
    for (const restore of this.#restore.splice(0)) restore();
    process.off("exit", this.#clearAtExit);
    process.off("warning", this.#redraw);
    this.#terminal.off("resize", this.#redraw);
  }
}

/**
 * @param {string | Uint8Array} chunk
 * @returns {boolean}
 */
function endsLine(chunk) {
  return typeof chunk === "string" ? chunk.endsWith("\n") : chunk[chunk.length - 1] === 0x0a;
}

module.exports = { LiveBlock };
