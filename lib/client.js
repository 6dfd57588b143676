// `CloudApiClient`: one method for each call of the backend. Requests are made and answers read in
// Rust, also those that go through a `fetch` of the user's.
"use strict";

const { binding } = require("./addon.js");
const { readEnvironment } = require("./environment.js");
const { keepFetchFailure, native, nativeSync, tell } = require("./errors.js");
const { listenerFor } = require("./identity.js");
const { request } = require("./response.js");
const { keepRenewal, unlessAborted } = require("./signal.js");

/** @typedef {import("..").DeploymentScope} Scope */

class CloudApiClient {
  #native;
  #fetch;
  #onDeprecation;

  /** @param {import("..").CloudApiClientOptions} options */
  constructor({ baseUrl, credentials, fetch, onDeprecation, onCredentials }) {
    if (typeof baseUrl !== "string") {
      throw new TypeError("CloudApiClient: `baseUrl` must be a string");
    }
    const identity = JSON.stringify(credentials ?? null);
    const told = listenerFor(onCredentials);
    this.#native = nativeSync(() => new binding.NativeClient(baseUrl, identity, told));
    this.#fetch = fetch;
    this.#onDeprecation = onDeprecation;
  }

  /** @param {string} orgSlug */
  listProjects(orgSlug) {
    return this.#call("listProjects", { orgSlug });
  }

  /** @param {{ orgSlug: string, name: string, slug: string }} project */
  createProject(project) {
    return this.#call("createProject", project);
  }

  /** @param {Scope & { name: string, config: Record<string, unknown> }} job */
  createJob(job) {
    return this.#call("createJob", job);
  }

  /**
   * @param {string} jobId
   * @param {Scope} scope
   */
  getJob(jobId, scope) {
    return this.#call("getJob", { id: jobId, scope });
  }

  /**
   * @param {string} jobId
   * @param {Scope} scope
   */
  async cancelJob(jobId, scope) {
    await this.#call("cancelJob", { id: jobId, scope });
  }

  /**
   * @param {string} jobId
   * @param {Scope} scope
   * @param {{ lastEventId?: string, signal?: AbortSignal }} [options]
   */
  openEventStream(jobId, scope, { lastEventId, signal } = {}) {
    return this.#open("openEventStream", { id: jobId, scope, lastEventId }, signal);
  }

  /** @param {{ scope: Scope, body: Record<string, unknown>, signal?: AbortSignal }} question */
  chat({ scope, body, signal }) {
    return this.#open("chat", { scope, body }, signal);
  }

  /** @param {Scope} scope */
  listDeployments(scope) {
    return this.#call("listDeployments", { scope });
  }

  /**
   * @param {string} id
   * @param {Scope} scope
   */
  getDeployment(id, scope) {
    return this.#call("getDeployment", { id, scope });
  }

  /**
   * @param {Scope} scope
   * @param {import("..").CreateDeploymentInput} input
   */
  createDeployment(scope, input) {
    return this.#call("createDeployment", { scope, body: input });
  }

  /**
   * @param {string} id
   * @param {Scope} scope
   * @param {import("..").UpdateDeploymentInput} input
   */
  updateDeployment(id, scope, input) {
    return this.#call("updateDeployment", { id, scope, body: input });
  }

  /**
   * @param {string} id
   * @param {Scope} scope
   */
  async deleteDeployment(id, scope) {
    await this.#call("deleteDeployment", { id, scope });
  }

  /**
   * @param {string} id
   * @param {Scope} scope
   */
  listDeploymentKeys(id, scope) {
    return this.#call("listDeploymentKeys", { id, scope });
  }

  /**
   * @param {string} id
   * @param {Scope} scope
   * @param {import("..").CreateDeploymentKeyInput} input
   */
  createDeploymentKey(id, scope, input) {
    return this.#call("createDeploymentKey", { id, scope, body: input });
  }

  /**
   * @param {string} id
   * @param {string} keyId
   * @param {Scope} scope
   */
  async revokeDeploymentKey(id, keyId, scope) {
    await this.#call("revokeDeploymentKey", { id, keyId, scope });
  }

  /**
   * @param {string} name
   * @param {object} args
   * @returns {Promise<any>}
   */
  async #call(name, args) {
    const response = await this.#open(name, args);
    const text = await response.text();
    const answer = nativeSync(() => binding.clientAnswer(name, text));
    return answer == null ? undefined : JSON.parse(answer);
  }

  /**
   * The answer to a call, its body unread; one that is not 2xx is an error (T33).
   * @param {string} name
   * @param {object} args
   * @param {AbortSignal} [signal]
   * @returns {Promise<Response>}
   */
  async #open(name, args, signal) {
    const text = JSON.stringify(args);
    const environment = readEnvironment();
    const surroundings = JSON.stringify(environment);
    const response = this.#fetch
      ? await this.#viaFetch(this.#fetch, surroundings, name, text, signal)
      : await request(this.#native, signal, async (abort) =>
          this.#native.send(surroundings, name, text, abort),
        );
    this.#tellDeprecation(response.headers);
    if (response.ok) return response;
    const words = await beginning(response);
    if (signal?.aborted) throw signal.reason;
    const location = response.headers.get("location") ?? undefined;
    nativeSync(() =>
      binding.clientRefusal(response.status, words, location, environment.packageManager),
    );
    throw new Error("unreachable: a refusal always throws");
  }

  /**
   * @param {typeof globalThis.fetch} fetch
   * @param {string} surroundings
   * @param {string} name
   * @param {string} text
   * @param {AbortSignal | undefined} signal
   */
  async #viaFetch(fetch, surroundings, name, text, signal) {
    const ask = (/** @type {string | undefined} */ refused) =>
      this.#prepare(fetch, surroundings, name, text, signal, refused);
    const prepared = await ask(undefined);
    if (!prepared) throw new Error("unreachable: only a refused token may have no successor");
    const response = await withinOrigin(fetch, prepared.url, initOf(prepared, signal));
    if (response.status !== 401 || prepared.isRenewed) return response;
    /** @type {typeof prepared | null} */
    let again = prepared;
    try {
      again = await ask(prepared.token);
    } finally {
      // Also when the renewal is refused: nobody reads this body then.
      if (again) await response.body?.cancel?.();
    }
    if (!again) return response;
    return withinOrigin(fetch, again.url, initOf(again, signal));
  }

  /**
   * The request to make; a login that has expired, or was refused, is renewed first, by the same
   * `fetch`.
   * @param {typeof globalThis.fetch} fetch
   * @param {string} surroundings
   * @param {string} name
   * @param {string} text
   * @param {AbortSignal | undefined} signal
   * @param {string} [refused] the token that was answered with 401
   * @returns null when nothing can be tried in its place
   */
  async #prepare(fetch, surroundings, name, text, signal, refused) {
    if (signal?.aborted) throw signal.reason;
    const abort = new binding.NativeAbort();
    const renew = async (/** @type {string} */ crossing) => {
      const { id, url, headers, body, limitMs } = JSON.parse(crossing);
      try {
        // The engine waits for longer, so that an answer that just makes it is not lost.
        const limit = AbortSignal.timeout(limitMs);
        const init = { method: "POST", headers, body, signal: limit };
        const response = await fetch(url, { ...init, redirect: "manual" });
        this.#native.renewed(id, response.status, await response.text());
      } catch (error) {
        keepFetchFailure(id, error);
        this.#native.notRenewed(id);
      }
    };
    try {
      const preparing = native(async () =>
        this.#native.prepare(
          surroundings,
          name,
          text,
          abort,
          (crossing) => void renew(crossing),
          refused,
        ),
      );
      return await unlessAborted(preparing, signal);
    } catch (error) {
      if (signal?.aborted) {
        keepRenewal(this.#native);
        abort.abort();
      }
      throw error;
    }
  }

  /** @param {Headers} headers */
  #tellDeprecation(headers) {
    const header = (/** @type {string} */ name) => headers.get(name) ?? undefined;
    const notice = binding.readDeprecation(
      header("deprecation"),
      header("warning"),
      header("sunset"),
    );
    if (!notice) return;
    if (!this.#onDeprecation) binding.noteDeprecation(notice);
    else tell(this.#onDeprecation, { message: notice.message, sunset: notice.sunset ?? null });
  }
}

/**
 * @param {import("../binding.js").PreparedRequest} prepared
 * @param {AbortSignal | undefined} signal
 * @returns {RequestInit}
 */
function initOf({ method, headers, body }, signal) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (let at = 0; at < headers.length; at += 2) {
    fields[headers[at]] = headers[at + 1];
  }
  return { method, headers: fields, body: body ?? undefined, signal };
}

/** As many redirects as `fetch` follows. */
const MOST_REDIRECTS = 20;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * Redirects are followed within one origin only (T36), as `fetch` follows them: another origin must get
 * neither the token nor the body.
 * @param {typeof globalThis.fetch} fetch
 * @param {string} url
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 */
async function withinOrigin(fetch, url, init) {
  for (let followed = 0; ; followed++) {
    const response = await fetch(url, { ...init, redirect: "manual" });
    const location = response.headers.get("location");
    if (!REDIRECTS.has(response.status) || location === null || followed === MOST_REDIRECTS) {
      return response;
    }
    if (!URL.canParse(location, url)) return response;
    const target = new URL(location, url);
    if (target.origin !== new URL(url).origin) return response;
    // Not every `fetch` has bodies of the standard's kind.
    await response.body?.cancel?.();
    target.username = "";
    target.password = "";
    url = target.href;
    const { status } = response;
    if (status === 303 || (status < 303 && init.method === "POST")) {
      const { body, ...rest } = init;
      const { "content-type": _, ...headers } = /** @type {Record<string, string>} */ (
        init.headers
      );
      init = { ...rest, method: "GET", headers };
    }
  }
}

/** This much of the body of a refusal is read, in bytes. */
const REFUSAL_LIMIT = 64 * 1024;
/** And for so long: it may never end. */
const REFUSAL_TIME_MS = 1000;

/**
 * As much of a refusal's body as a message can use; the rest may be without end.
 * @param {Response} response
 */
async function beginning(response) {
  const { body } = response;
  if (!body) return "";
  // Not every `fetch` has bodies of the standard's kind.
  if (typeof body.getReader !== "function") return (await response.text()).slice(0, REFUSAL_LIMIT);
  const reader = body.getReader();
  const cancel = () => reader.cancel().catch(() => {});
  const timer = setTimeout(cancel, REFUSAL_TIME_MS);
  const parts = [];
  let length = 0;
  while (length < REFUSAL_LIMIT) {
    // A body that breaks off has said what it will.
    const { value, done } = await reader.read().catch(() => ({ value: undefined, done: true }));
    if (done || !value) break;
    parts.push(value);
    length += value.length;
  }
  clearTimeout(timer);
  await cancel();
  return Buffer.concat(parts).subarray(0, REFUSAL_LIMIT).toString();
}

module.exports = { CloudApiClient };
