// A native answer → a WHATWG `Response` whose body is pulled from Rust as the user reads (T32).
"use strict";

const binding = require("../binding.js");
const { native } = require("./errors.js");

/** Bytes asked for at once. */
const CHUNK = 64 * 1024;
/** Statuses that can't have a body. */
const NULL_BODY = new Set([101, 204, 205, 304]);

/**
 * Sends a request that `signal` aborts, before or while its body streams (T34).
 * @param {AbortSignal | null | undefined} signal
 * @param {(abort: import("../binding.js").NativeAbort) => Promise<import("../binding.js").NativeResponse>} send
 * @returns {Promise<Response>}
 */
async function request(signal, send) {
  signal?.throwIfAborted();
  const abort = new binding.NativeAbort();
  const onAbort = () => abort.abort();
  signal?.addEventListener("abort", onAbort, { once: true });
  const release = () => signal?.removeEventListener("abort", onAbort);
  try {
    const answer = await native(() => send(abort));
    return toResponse(answer, signal, release);
  } catch (error) {
    release();
    throw signal?.aborted ? signal.reason : error;
  }
}

/**
 * @param {import("../binding.js").NativeResponse} answer
 * @param {AbortSignal | null | undefined} signal
 * @param {() => void} release
 * @returns {Response}
 */
function toResponse(answer, signal, release) {
  const { status } = answer;
  /** @type {ReadableStream | null} */
  let body = null;
  if (NULL_BODY.has(status)) {
    answer.close();
    release();
  } else {
    body = toStream(answer, signal, release);
  }
  const response = new Response(body, { status, headers: pairs(answer.headers) });
  Object.defineProperty(response, "url", { value: answer.url });
  return response;
}

/**
 * @param {import("../binding.js").NativeResponse} answer
 * @param {AbortSignal | null | undefined} signal
 * @param {() => void} release
 * @returns {ReadableStream}
 */
function toStream(answer, signal, release) {
  /** @type {(() => void) | undefined} */
  let onAbort;
  const end = () => {
    release();
    if (onAbort) signal?.removeEventListener("abort", onAbort);
  };
  return new ReadableStream(
    {
      type: "bytes",
      start(controller) {
        // Also a body that nobody reads at the moment is at an end.
        onAbort = () => controller.error(signal?.reason);
        signal?.addEventListener("abort", onAbort, { once: true });
      },
      async pull(controller) {
        try {
          const bytes = await native(() => answer.next(CHUNK));
          if (bytes) {
            controller.enqueue(/** @type {Uint8Array<ArrayBuffer>} */ (bytes));
            return;
          }
          end();
          controller.close();
          controller.byobRequest?.respond(0);
        } catch (error) {
          end();
          throw signal?.aborted ? signal.reason : error;
        }
      },
      cancel() {
        end();
        answer.close();
      },
    },
    { highWaterMark: 0 },
  );
}

/**
 * @param {string[]} flat names and values in turn
 * @returns {[string, string][]}
 */
function pairs(flat) {
  /** @type {[string, string][]} */
  const out = [];
  for (let at = 0; at < flat.length; at += 2) out.push([flat[at], flat[at + 1]]);
  return out;
}

module.exports = { request };
