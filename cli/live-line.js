// One line at the bottom of the terminal that is redrawn in place. While it lives, everything that
// the process writes goes past it: the line is cleared, the text is written, the line is drawn again.

/** At most ten redraws a second: more flickers, and costs more than the training's own log. */
const REDRAW_MS = 100;
const CLEAR = "\r\x1b[2K";

/** @typedef {typeof process.stderr.write} Write */

class LiveLine {
  #terminal;
  #render;
  #shown = false;
  /** The last thing printed by others ended inside a line; drawing now would overwrite it. */
  #midLine = false;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #now;
  /** @type {NodeJS.Timeout | undefined} */ #timer;
  /** @type {(() => void)[]} */ #restore = [];
  #write;
  #clearAtExit = () => this.#clear();
  // Node prints its warnings past `process.stderr.write`, in a listener that runs after this one.
  #makeWay = () => {
    this.#clear();
    this.update();
  };

  /**
   * @param {object} options
   * @param {NodeJS.WriteStream} options.terminal where the line is drawn
   * @param {NodeJS.WriteStream[]} options.streams all that can reach the same terminal
   * @param {(columns: number) => string} options.render the text of the line, without newline
   * @param {() => number} [options.now] ms
   */
  constructor({ terminal, streams, render, now = () => performance.now() }) {
    this.#terminal = terminal;
    this.#render = render;
    this.#now = now;
    this.#write = terminal.write.bind(terminal);
    for (const stream of streams) this.#wrap(stream);
    process.once("exit", this.#clearAtExit);
    process.prependListener("warning", this.#makeWay);
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
      // Somebody who wrapped `write` after us keeps his wrapper, and with it ours.
      if (stream.write !== past) return;
      if (own) Object.defineProperty(stream, "write", own);
      else Reflect.deleteProperty(stream, "write");
    });
  }

  /** Draws the line soon: now, or when the last drawing is old enough. */
  update() {
    if (this.#timer || this.#restore.length === 0) return;
    // Also right after a drawing: a callback that prints ten lines in a row causes one redraw.
    const wait = Math.max(0, this.#drawnAt + REDRAW_MS - this.#now());
    this.#timer = setTimeout(() => this.#draw(), wait);
    // The line alone never keeps the process alive.
    this.#timer.unref();
  }

  #draw() {
    this.#timer = undefined;
    if (this.#midLine || this.#restore.length === 0) return;
    const text = this.#render(this.#terminal.columns || 80);
    if (text === "") return;
    this.#write(`${CLEAR}${text}`);
    this.#shown = true;
    this.#drawnAt = this.#now();
  }

  #clear() {
    if (!this.#shown) return;
    this.#shown = false;
    this.#write(CLEAR);
  }

  /** Takes the line away for good and gives the streams back. */
  close() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#clear();
    for (const restore of this.#restore.splice(0)) restore();
    process.off("exit", this.#clearAtExit);
    process.off("warning", this.#makeWay);
  }
}

/**
 * @param {string | Uint8Array} chunk
 * @returns {boolean}
 */
function endsLine(chunk) {
  return typeof chunk === "string" ? chunk.endsWith("\n") : chunk[chunk.length - 1] === 0x0a;
}

module.exports = { LiveLine };
