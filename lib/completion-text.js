// Extracts the text from a chat response, streamed or not. The bytes are decoded in Rust.
"use strict";

const { binding } = require("./addon.js");
const { CloudApiError, nativeSync } = require("./errors.js");
const { read } = require("./json.js");

/** The data of the event that ends a streamed response. */
const DONE = "[DONE]";

/**
 * @param {Response} response a response of `infer` or `chat`
 * @returns {Promise<string>}
 */
async function completionText(response) {
  let text = "";
  for await (const piece of completionStream(response)) text += piece;
  return text;
}

/**
 * @param {Response} response a response of `infer` or `chat`
 * @returns {AsyncGenerator<string, void, undefined>}
 */
async function* completionStream(response) {
  for await (const { text } of completionParts(response)) if (text !== "") yield text;
}

/**
 * A piece of a streamed completion, or a whole completion.
 * @typedef {object} CompletionPart
 * @property {string} text may be empty
 * @property {unknown} model the model's name, as the backend reports it
 * @property {unknown} finishReason
 * @property {unknown} usage
 */

/**
 * @param {Response} response
 * @returns {AsyncGenerator<CompletionPart, void, undefined>}
 */
async function* completionParts(response) {
  if (response.bodyUsed) throw new TypeError("The response's body has already been read.");
  if (!response.ok) throw await refusalOf(response);
  const type = response.headers.get("content-type") ?? "";
  if (/^text\/event-stream\b/i.test(type)) yield* streamed(response);
  else yield* whole(response);
}

/** @param {Response} response */
async function* whole(response) {
  const answer = parse(response, await response.text());
  if (!Array.isArray(answer?.choices)) {
    throw new CloudApiError(response.status, "The answer isn't a chat completion.");
  }
  const [choice] = answer.choices;
  yield partOf(answer, choice, choice?.message?.content);
}

/** @param {Response} response */
async function* streamed(response) {
  let isComplete = false;
  for await (const data of eventData(response)) {
    if (data === DONE) return;
    const chunk = parse(response, data);
    const choice = chunk?.choices?.find(
      (/** @type {{ index?: number }} */ { index = 0 }) => index === 0,
    );
    yield partOf(chunk, choice, choice?.delta?.content);
    isComplete ||= choice?.finish_reason != null;
  }
  // A truncated completion must not be scored, stored or shown as if it were complete.
  if (!isComplete)
    throw new CloudApiError(response.status, "The answer ended before it was complete.");
}

/**
 * @param {any} answer
 * @param {any} choice
 * @param {unknown} content
 * @returns {CompletionPart}
 */
function partOf(answer, choice, content) {
  const text = content ? String(content) : "";
  return { text, model: answer?.model, finishReason: choice?.finish_reason, usage: answer?.usage };
}

/**
 * Yields the data of each event. Leaving the loop early closes the connection.
 * @param {Response} response
 */
async function* eventData(response) {
  if (!response.body) return;
  const decoder = new binding.NativeEventStream();
  for await (const chunk of response.body) yield* nativeSync(() => decoder.push(chunk));
}

/**
 * @param {Response} response
 * @param {string} text
 * @returns {any}
 * @throws {CloudApiError} if it isn't JSON, or is an error frame
 */
function parse(response, text) {
  let answer;
  try {
    answer = read(text);
  } catch {
    throw new CloudApiError(response.status, "The answer isn't JSON.");
  }
  if (answer?.error != null) {
    const { headers, status } = response;
    throw new CloudApiError(status, messageOf(answer.error), { headers, body: text });
  }
  return answer;
}

/** @param {Response} response */
async function refusalOf(response) {
  const { headers, status } = response;
  const body = await response.text();
  try {
    const { error } = read(body);
    if (error != null) return new CloudApiError(status, messageOf(error), { headers, body });
  } catch {
    // The body isn't JSON, so its text is the message.
  }
  return new CloudApiError(status, body || `cloud-api ${status}`, { headers, body });
}

/**
 * The backend's `error` is a string; OpenAI's is an object with a `message`.
 * @param {any} error
 * @returns {string}
 */
function messageOf(error) {
  if (typeof error === "string") return error;
  return typeof error.message === "string" ? error.message : JSON.stringify(error);
}

module.exports = { completionParts, completionStream, completionText };
