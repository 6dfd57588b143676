// The backend for Studio's server: the project's identity, and calls to the API.

const { binding } = require("../../lib/addon.js");
const { listJobs } = require("../../lib/account.js");
const { CloudApiClient } = require("../../lib/client.js");
const {
  defaultArkorCloudApiUrl,
  ensureCredentials,
  readCredentials,
  readState,
} = require("../../lib/credentials.js");
const { describe } = require("../errors.js");

/** @typedef {{ message: string, sunset?: string | null }} Notice */
/** @typedef {import("../..").DeploymentScope} Scope */

/** An error response from Studio itself. */
class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

class Backend {
  #cwd;

  /** @param {string} cwd the project */
  constructor(cwd) {
    this.#cwd = cwd;
  }

  /** Whether runs happen on this machine. */
  get isLocal() {
    return Boolean(process.env.ARKOR_LOCAL_TOKEN);
  }

  /**
   * The user's identity and the project, without the token.
   * @returns {Promise<{ mode: string | null, baseUrl: string, orgSlug: string | null, projectSlug: string | null }>}
   */
  async identity() {
    // Only read the credentials: creating an anonymous identity would need the network.
    const credentials = await readCredentials();
    const scope = await this.#scope();
    return {
      mode: credentials?.mode ?? null,
      baseUrl: defaultArkorCloudApiUrl(credentials),
      orgSlug: scope?.orgSlug ?? (credentials?.mode === "anon" ? credentials.orgSlug : null),
      projectSlug: scope?.projectSlug ?? null,
    };
  }

  /** @returns {Promise<Scope | null>} null before the project's first run in the cloud */
  async #scope() {
    if (this.isLocal) {
      return { orgSlug: "local", projectSlug: binding.projectSlug(this.#cwd) };
    }
    const state = await readState(this.#cwd);
    return state && { orgSlug: state.orgSlug, projectSlug: state.projectSlug };
  }

  /**
   * Calls the backend on behalf of the project.
   * @template T
   * @param {(client: CloudApiClient, scope: Scope) => Promise<T>} call
   * @param {(notice: Notice) => void} [onDeprecation] without it, the notice is printed when the command ends
   * @returns {Promise<T>}
   * @throws {Refusal} if there's no project yet
   */
  async call(call, onDeprecation) {
    const scope = await this.#scope();
    if (!scope) {
      throw new Refusal(
        404,
        "This directory has no project in the cloud yet. Its first run makes it.",
      );
    }
    const credentials = await ensureCredentials();
    const baseUrl = defaultArkorCloudApiUrl(credentials);
    const options = { baseUrl, credentials, ...(onDeprecation && { onDeprecation }) };
    return call(new CloudApiClient(options), scope);
  }

  /**
   * @param {(notice: Notice) => void} [onDeprecation]
   * @returns {Promise<import("../..").TrainingJob[]>}
   */
  async jobs(onDeprecation) {
    if (!(await this.#scope())) return [];
    const jobs = await listJobs(this.#cwd);
    const notice = onDeprecation && binding.takeDeprecation();
    if (notice) onDeprecation(notice);
    return jobs;
  }

  /** @throws {Refusal} if runs are in the cloud */
  checkLocal() {
    if (this.isLocal) return;
    const message = "Runs are in the cloud, not on this machine. This needs `arkor dev --local`.";
    throw new Refusal(404, message);
  }

  /**
   * Calls an endpoint of the local backend that the cloud doesn't have.
   * @param {string} method
   * @param {string} path
   * @param {{ body?: unknown, signal?: AbortSignal }} [options]
   * @returns {Promise<any>} the JSON of the response, if it has any
   * @throws {Refusal} if the backend refuses, with its message
   */
  async askLocal(method, path, { body, signal } = {}) {
    this.checkLocal();
    const { ARKOR_CLOUD_API_URL: url, ARKOR_LOCAL_TOKEN: token } = process.env;
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(signal && { signal }),
    });
    const text = await answer.text();
    const json = text === "" ? undefined : JSON.parse(text);
    if (answer.ok) return json;
    throw new Refusal(answer.status, json?.error ?? `The local backend answered ${answer.status}.`);
  }

  /** The response of the backend's `/v1/me`. */
  async me() {
    await ensureCredentials();
    return require("../../lib/account.js").whoami();
  }
}

/**
 * @param {unknown} error
 * @returns {{ status: number, message: string }} of Studio's response
 */
function refusalOf(error) {
  const { status, name } = /** @type {{ status?: unknown, name?: string }} */ (error ?? {});
  const message = describe(error);
  if (typeof status === "number" && status >= 400 && status <= 599) return { status, message };
  if (error instanceof TypeError && error.message === "fetch failed") {
    return { status: 502, message: `Can't reach the backend: ${describe(error.cause)}` };
  }
  return { status: name === "ProjectStateMismatchError" ? 409 : 500, message };
}

module.exports = { Backend, Refusal, refusalOf };
