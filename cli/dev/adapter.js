// Converts between Node's requests and responses and those of the Fetch standard, which the router uses.

const { Readable } = require("node:stream");
const { pipeline } = require("node:stream/promises");

/** @typedef {(request: Request) => Promise<Response> | Response} Handler */

/**
 * @param {Handler} handler
 * @returns {import("node:http").RequestListener}
 */
function listener(handler) {
  return (incoming, outgoing) => {
    answer(handler, incoming, outgoing).catch(() => outgoing.destroy());
  };
}

/**
 * @param {Handler} handler
 * @param {import("node:http").IncomingMessage} incoming
 * @param {import("node:http").ServerResponse} outgoing
 */
async function answer(handler, incoming, outgoing) {
  const response = await handler(toRequest(incoming, outgoing));
  response.headers.forEach((value, name) => {
    outgoing.setHeader(name, value);
  });
  outgoing.writeHead(response.status);
  if (!response.body) return void outgoing.end();
  // Without this, a stream whose first event comes after a minute would look like a hanging server.
  outgoing.flushHeaders();
  const body = /** @type {import("node:stream/web").ReadableStream} */ (response.body);
  await pipeline(Readable.fromWeb(body), outgoing);
}

/**
 * @param {import("node:http").IncomingMessage} incoming
 * @param {import("node:http").ServerResponse} outgoing if it closes before the response is complete, the request is
 *   aborted
 */
function toRequest(incoming, outgoing) {
  const gone = new AbortController();
  outgoing.once("close", () => {
    if (!outgoing.writableFinished) gone.abort();
  });
  const headers = new Headers();
  for (let at = 0; at + 1 < incoming.rawHeaders.length; at += 2) {
    headers.append(incoming.rawHeaders[at] ?? "", incoming.rawHeaders[at + 1] ?? "");
  }
  const { method = "GET" } = incoming;
  const hasBody = method !== "GET" && method !== "HEAD";
  // The host is checked elsewhere, from its header; here it only makes the URL complete. A path such as `//x`
  // must not become the host.
  const url = `http://localhost${incoming.url?.startsWith("/") ? incoming.url : "/"}`;
  /** @type {any} The types of Node's streams and of the browser's differ; the objects don't. */
  const body = hasBody ? { body: Readable.toWeb(incoming), duplex: "half" } : {};
  return new Request(url, { method, headers, signal: gone.signal, ...body });
}

module.exports = { listener };
