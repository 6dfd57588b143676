// `CloudApiClient`: one method for each endpoint. Rust builds the requests and reads the responses, even if
// the user's own `fetch` sends them.
"use strict";

const { binding } = require("./addon.js");
const { readEnvironment } = require("./environment.js");
const { CloudApiError, keepFetchFailure, native, nativeSync, notify } = require("./errors.js");
const { Responses, beginning, cancel, checkTimeout, whole } = require("./given-fetch.js");
const { listenerFor } = require("./credentials.js");
const { parse, stringify } = require("./json.js");
const { checkClientOptions, checkSignal } = require("./options.js");
const { request } = require("./response.js");
const { keepRenewal, unlessAborted } = require("./signal.js");

/** @typedef {import("..").DeploymentScope} Scope */
/** @typedef {import("..").CallOptions} CallOptions */
/**
 * The parts of a request. The paths and methods are in `src/api/endpoints.rs`.
 * @typedef {object} Parts
 * @property {{ orgSlug: string, projectSlug?: string }} [scope]
 * @property {string} [id]
 * @property {string} [keyId]
 * @property {string} [lastEventId]
 * @property {object} [body]
 */

class CloudApiClient {
  #native;
  #fetch;
  #onDeprecation;

  /** @param {import("..").CloudApiClientOptions} options */
  constructor(options) {
    checkClientOptions(options);
    const { baseUrl, credentials, fetch, onDeprecation, onCredentials } = options;
    const identity = JSON.stringify(credentials ?? null);
    const listener = listenerFor(onCredentials);
    this.#native = nativeSync(() => new binding.NativeClient(baseUrl, identity, listener));
    this.#fetch = fetch;
    this.#onDeprecation = onDeprecation;
  }

  /**
   * @param {string} orgSlug
   * @param {CallOptions} [options]
   */
  listProjects(orgSlug, options) {
    return this.#call("listProjects", { scope: { orgSlug } }, options);
  }

  /**
   * @param {{ orgSlug: string, name: string, slug: string }} project
   * @param {CallOptions} [options]
   */
  createProject({ orgSlug, name, slug }, options) {
    const body = { name, slug };
    return this.#call("createProject", { scope: { orgSlug }, body }, options);
  }

  /**
   * @param {Scope & { name: string, config: Record<string, unknown> }} job
   * @param {CallOptions} [options]
   */
  createJob({ orgSlug, projectSlug, name, config }, options) {
    const body = { name, config };
    return this.#call("createJob", { scope: { orgSlug, projectSlug }, body }, options);
  }

  /**
   * @param {string} jobId
   * @param {Scope} scope
   * @param {CallOptions} [options]
   */
  getJob(jobId, scope, options) {
    return this.#call("getJob", { id: jobId, scope }, options);
  }

  /**
   * @param {string} jobId
   * @param {Scope} scope
   * @param {CallOptions} [options]
   */
  async cancelJob(jobId, scope, options) {
    await this.#send("cancelJob", { id: jobId, scope }, options);
  }

  /**
   * @param {string} jobId
   * @param {Scope} scope
   * @param {CallOptions & { lastEventId?: string }} [options]
   */
  openEventStream(jobId, scope, { lastEventId, ...options } = {}) {
    return this.#open("openEventStream", { id: jobId, scope, lastEventId }, options);
  }

  /** @param {CallOptions & { scope: Scope, body: Record<string, unknown> }} question */
  chat({ scope, body, ...options }) {
    return this.#open("chat", { scope, body }, options);
  }

  /**
   * @param {Scope} scope
   * @param {CallOptions} [options]
   */
  listDeployments(scope, options) {
    return this.#call("listDeployments", { scope }, options);
  }

  /**
   * @param {string} id
   * @param {Scope} scope
   * @param {CallOptions} [options]
   */
  getDeployment(id, scope, options) {
    return this.#call("getDeployment", { id, scope }, options);
  }

  /**
   * @param {Scope} scope
   * @param {import("..").CreateDeploymentInput} input
   * @param {CallOptions} [options]
   */
  createDeployment(scope, input, options) {
    return this.#call("createDeployment", { scope, body: input }, options);
  }

  /**
   * @param {string} id
   * @param {Scope} scope
   * @param {import("..").UpdateDeploymentInput} input
   * @param {CallOptions} [options]
   */
  updateDeployment(id, scope, input, options) {
    return this.#call("updateDeployment", { id, scope, body: input }, options);
  }

  /**
   * @param {string} id
   * @param {Scope} scope
   * @param {CallOptions} [options]
   */
  async deleteDeployment(id, scope, options) {
    await this.#send("deleteDeployment", { id, scope }, options);
  }

  /**
   * @param {string} id
   * @param {Scope} scope
   * @param {CallOptions} [options]
   */
  async listDeploymentKeys(id, scope, options) {
    const answer = await this.#call("listDeploymentKeys", { id, scope }, options);
    // A key is shown only once, when it's created, so a list must not contain it, whatever the backend sends.
    for (const key of answer.keys) delete key.plaintext;
    return answer;
  }

  /**
   * @param {string} id
   * @param {Scope} scope
   * @param {import("..").CreateDeploymentKeyInput} input
   * @param {CallOptions} [options]
   */
  createDeploymentKey(id, scope, input, options) {
    return this.#call("createDeploymentKey", { id, scope, body: input }, options);
  }

  /**
   * @param {string} id
   * @param {string} keyId
   * @param {Scope} scope
   * @param {CallOptions} [options]
   */
  async revokeDeploymentKey(id, keyId, scope, options) {
    await this.#send("revokeDeploymentKey", { id, keyId, scope }, options);
  }

  /**
   * A call whose response body is JSON.
   * @param {string} name
   * @param {Parts} parts
   * @param {CallOptions} [options]
   * @returns {Promise<any>}
   */
  async #call(name, parts, options) {
    const response = await this.#open(name, parts, options);
    const text = await whole(response);
    return parse(nativeSync(() => binding.clientAnswer(name, text)));
  }

  /**
   * A call that needs only the response's status code. A failure to read the body doesn't matter.
   * @param {string} name
   * @param {Parts} parts
   * @param {CallOptions} [options]
   */
  async #send(name, parts, options) {
    const response = await this.#open(name, parts, options);
    await cancel(response).catch(() => {});
  }

  /**
   * Sends a request and returns the response, with its body unread. A response that isn't 2xx is an error
   * (T33).
   * @param {string} name
   * @param {Parts} parts
   * @param {CallOptions} [options]
   * @returns {Promise<Response>}
   */
  async #open(name, parts, { signal, timeoutMs } = {}) {
    const call = `CloudApiClient.${name}`;
    checkTimeout(call, timeoutMs);
    checkSignal(call, "signal", signal);
    const text = stringify(parts, call);
    const environment = readEnvironment();
    const surroundings = JSON.stringify(environment);
    const response = this.#fetch
      ? await this.#viaFetch(this.#fetch, surroundings, name, text, signal, timeoutMs)
      : await request(this.#native, signal, async (abort) =>
          this.#native.send(surroundings, name, text, abort, timeoutMs),
        );
    this.#noteDeprecation(response.headers);
    if (response.ok) return response;
    const body = await beginning(response);
    if (signal?.aborted) throw signal.reason;
    const { headers, status } = response;
    const location = headers.get("location") ?? undefined;
    const message = binding.refusalMessage(status, body, location, environment.packageManager);
    throw new CloudApiError(status, message, { headers, body });
  }

  /**
   * Makes the requests that the engine asks for, and keeps the responses.
   * @param {typeof globalThis.fetch} fetch
   * @param {string} surroundings
   * @param {string} name
   * @param {string} text
   * @param {AbortSignal | undefined} signal
   * @param {number | undefined} timeoutMs
   * @returns {Promise<Response>}
   */
  async #viaFetch(fetch, surroundings, name, text, signal, timeoutMs) {
    if (signal?.aborted) throw signal.reason;
    const abort = new binding.NativeAbort();
    const responses = new Responses(fetch, signal);
    const answer = async (/** @type {string} */ crossing) => {
      const { id, ...wanted } = JSON.parse(crossing);
      try {
        const { status, location, body } = await responses.fetch(id, wanted);
        this.#native.fetched(id, status, location, body);
      } catch (error) {
        keepFetchFailure(id, error);
        this.#native.notFetched(id);
      }
    };
    try {
      const sending = native(async () =>
        this.#native.sendBy(surroundings, name, text, abort, (one) => void answer(one), timeoutMs),
      );
      return responses.take(await unlessAborted(sending, signal));
    } catch (error) {
      // Nobody will read this response.
      responses.discard(error);
      if (signal?.aborted) {
        keepRenewal(this.#native);
        abort.abort();
      }
      throw error;
    }
  }

  /** @param {Headers} headers */
  #noteDeprecation(headers) {
    const header = (/** @type {string} */ name) => headers.get(name) ?? undefined;
    const notice = binding.readDeprecation(
      header("deprecation"),
      header("warning"),
      header("sunset"),
    );
    if (!notice) return;
    if (!this.#onDeprecation) binding.noteDeprecation(notice);
    else notify(this.#onDeprecation, { message: notice.message, sunset: notice.sunset ?? null });
  }
}

module.exports = { CloudApiClient };
