// `CloudApiClient`: one method for each call of the backend. Requests are made and answers read in
// Rust, also those that go through a `fetch` of the user's.
"use strict";

const binding = require("../binding.js");
const { readEnvironment } = require("./environment.js");
const { native } = require("./errors.js");
const { request } = require("./response.js");

/** @typedef {import("..").DeploymentScope} Scope */

class CloudApiClient {
  #native;
  #fetch;
  #onDeprecation;

  /** @param {import("..").CloudApiClientOptions} options */
  constructor({ baseUrl, credentials, fetch, onDeprecation }) {
    const environment = JSON.stringify(readEnvironment());
    this.#native = new binding.NativeClient(environment, baseUrl, JSON.stringify(credentials));
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
    const answer = await native(async () => binding.clientAnswer(name, JSON.stringify(args), text));
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
    const response = this.#fetch
      ? await this.#viaFetch(this.#fetch, name, text, signal)
      : await request(signal, async (abort) => this.#native.send(name, text, abort));
    this.#tellDeprecation(response.headers);
    if (response.ok) return response;
    const words = await response.text();
    const location = response.headers.get("location") ?? undefined;
    const { packageManager } = readEnvironment();
    await native(async () =>
      binding.clientRefusal(response.status, words, location, packageManager),
    );
    throw new Error("unreachable: a refusal always throws");
  }

  /**
   * @param {typeof globalThis.fetch} fetch
   * @param {string} name
   * @param {string} text
   * @param {AbortSignal | undefined} signal
   */
  async #viaFetch(fetch, name, text, signal) {
    const { url, method, headers, body } = await native(async () =>
      this.#native.prepare(name, text),
    );
    /** @type {Record<string, string>} */
    const fields = {};
    for (let at = 0; at < headers.length; at += 2) fields[headers[at]] = headers[at + 1];
    return fetch(url, { method, headers: fields, body: body ?? undefined, signal });
  }

  /** @param {Headers} headers */
  #tellDeprecation(headers) {
    if (!this.#onDeprecation) return;
    const header = (/** @type {string} */ name) => headers.get(name) ?? undefined;
    const notice = binding.readDeprecation(
      header("deprecation"),
      header("warning"),
      header("sunset"),
    );
    if (!notice) return;
    try {
      this.#onDeprecation({ message: notice.message, sunset: notice.sunset ?? null });
    } catch {
      // Told for information; an error in there is ignored.
    }
  }
}

module.exports = { CloudApiClient };
