// Turns a native response into a WHATWG `Response` whose body is pulled from Rust as the user reads it (T32).
"use strict";

const { binding } = require("./addon.js");
const { CloudApiError, headersOf, native } = require("./errors.js");
const { keepRenewal, listen } = require("./signal.js");

/** The size of one read, in bytes. */
const CHUNK = 64 * 1024;
/** Matches a reason phrase that `Response` accepts. */
const PRINTABLE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** The status codes that can't have a body. */
const NULL_BODY = new Set([101, 204, 205, 304]);

/**
 * Sends a request that `signal` aborts, before or while its body streams (T34).
 * @param {{ isRenewing: boolean, renewalSettled(): Promise<void> }} owner the trainer or client whose login it uses
 * @param {AbortSignal | null | undefined} signal
 * @param {(abort: import("../binding.js").NativeAbort) => Promise<import("../binding.js").NativeResponse>} send
 * @returns {Promise<Response>}
 */
async function request(owner, signal, send) {
  if (signal?.aborted) throw signal.reason;
  const abort = new binding.NativeAbort();
  const listening = new Listening(signal, () => abort.abort());
  try {
    const answer = await native(() => send(abort));
    if (signal?.aborted) {
      answer.close();
      throw signal.reason;
    }
    const { stream, controller } = toStream(answer, signal, listening.release);
    listening.onAbort = aborter(signal, new WeakRef(controller), new WeakRef(answer));
    if (signal) unread.register(answer, listening.release);
    return toResponse(answer, stream, listening.release);
  } catch (error) {
    listening.release();
    if (!signal?.aborted) throw error;
    keepRenewal(owner);
    throw signal.reason;
  }
}

/**
 * A listener on a signal. It isn't a closure inside `request`: the closures of one function share their
 * scope, so the callback that `unread` holds would keep the response alive.
 */
class Listening {
  /**
   * @param {AbortSignal | null | undefined} signal
   * @param {() => void} onAbort
   */
  constructor(signal, onAbort) {
    this.onAbort = onAbort;
    const listener = () => this.onAbort();
    if (signal) listen(signal, listener);
    this.release = () => signal?.removeEventListener("abort", listener);
  }
}

/**
 * Removes the listener from the signal when a response is dropped unread, because a signal may live as long
 * as the process.
 */
const unread = new FinalizationRegistry((/** @type {() => void} */ release) => release());

/**
 * Aborts a body, whether or not it's being read. It holds only weak references, so that an unreferenced
 * response can be collected and its connection closed.
 * @param {AbortSignal | null | undefined} signal
 * @param {WeakRef<ReadableByteStreamController>} controller
 * @param {WeakRef<import("../binding.js").NativeResponse>} answer
 */
function aborter(signal, controller, answer) {
  return () => {
    controller.deref()?.error(signal?.reason);
    answer.deref()?.close();
  };
}

/**
 * @param {import("../binding.js").NativeResponse} answer
 * @param {ReadableStream} stream
 * @param {() => void} release
 * @returns {Response}
 */
function toResponse(answer, stream, release) {
  const { status, statusText, headers, url } = answer;
  const hasBody = !NULL_BODY.has(status);
  if (!hasBody) {
    answer.close();
    release();
  }
  try {
    const response = new Response(hasBody ? stream : null, {
      status,
      statusText: PRINTABLE.test(statusText) ? statusText : "",
      headers: headersOf(headers),
    });
    Object.defineProperty(response, "url", { value: url });
    return response;
  } catch {
    // `Response` accepts only status codes from 200 to 599.
    answer.close();
    throw new CloudApiError(status, `cloud-api ${status}`);
  }
}

/**
 * The body as a stream.
 * @param {import("../binding.js").NativeResponse} answer
 * @param {AbortSignal | null | undefined} signal
 * @param {() => void} release
 * @returns {{ stream: ReadableStream, controller: ReadableByteStreamController }}
 */
function toStream(answer, signal, release) {
  let controller = /** @type {ReadableByteStreamController} */ (/** @type {unknown} */ (undefined));
  const stream = new ReadableStream(
    {
      type: "bytes",
      start(started) {
        controller = started;
      },
      async pull() {
        try {
          const bytes = answer.take(CHUNK) ?? (await native(() => answer.next(CHUNK)));
          if (bytes) controller.enqueue(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
          if (bytes && !answer.isOver) return;
          release();
          controller.close();
          controller.byobRequest?.respond(0);
        } catch (error) {
          release();
          throw signal?.aborted ? signal.reason : error;
        }
      },
      cancel() {
        release();
        answer.close();
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, controller };
}

module.exports = { request };
