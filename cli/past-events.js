// Reads the past events of a job's stream.

const { createParser } = require("./dev/parser.js");

/**
 * In a running job's stream, nothing separates past events from new ones, so a pause this long counts as the
 * separator.
 */
const QUIET_MS = 250;
const ENDS = new Set(["training.completed", "training.failed"]);

/**
 * Reads a stream up to the job's end, or to the first pause.
 * @param {(signal: AbortSignal) => Promise<Response>} open opens the job's stream
 * @param {(event: Record<string, unknown>) => void} onEvent
 * @returns {Promise<void>}
 */
async function pastEvents(open, onEvent) {
  const quiet = new AbortController();
  /** @type {NodeJS.Timeout | undefined} */ let timer;
  const wait = (/** @type {number} */ ms) => {
    clearTimeout(timer);
    timer = setTimeout(() => quiet.abort(), ms);
  };
  let isOver = false;
  const parser = createParser((event) => {
    if (ENDS.has(String(event.type))) isOver = true;
    onEvent(event);
  });
  const decoder = new TextDecoder();
  try {
    const response = await open(quiet.signal);
    wait(QUIET_MS * 4);
    for await (const chunk of response.body ?? []) {
      parser(decoder.decode(chunk, { stream: true }));
      if (isOver) break;
      wait(QUIET_MS);
    }
  } catch (error) {
    if (!quiet.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
    quiet.abort();
  }
}

module.exports = { pastEvents };
