// The command's calls to the backend besides training. Internal: `index.js` does not export it.
"use strict";

const { createHash, randomBytes } = require("node:crypto");
const path = require("node:path");
const { binding } = require("./addon.js");
const { readEnvironment } = require("./environment.js");
const { native, nativeSync } = require("./errors.js");
const { parse } = require("./json.js");

/**
 * @typedef {object} Provider how to log in at a deployment
 * @property {string} auth0Domain
 * @property {string} clientId
 * @property {string | null} audience
 * @property {number[]} callbackPorts
 */

/** @typedef {{ user: unknown, orgs: { slug: string }[] }} Me */

/** @returns {Promise<Me | null>} null when nobody is signed in */
async function whoami() {
  const text = await native(async () => binding.whoami(environment()));
  return text == null ? null : parse(text);
}

/**
 * @param {string} directory of the project
 * @returns {Promise<import("..").TrainingJob[]>} as the backend lists them
 */
async function listJobs(directory) {
  const at = path.resolve(directory);
  return parse(await native(async () => binding.listJobs(environment(), at)));
}

/**
 * @param {string} directory of the project
 * @param {string} jobId
 */
async function cancelJob(directory, jobId) {
  const at = path.resolve(directory);
  await native(async () => binding.cancelJob(environment(), at, jobId));
}

/**
 * Resumes a job from its last checkpoint, as a new job.
 * @param {string} directory of the project
 * @param {string} jobId
 * @returns {Promise<string>} the id of the new job
 */
async function resumeJob(directory, jobId) {
  const at = path.resolve(directory);
  return native(async () => binding.resumeJob(environment(), at, jobId));
}

/**
 * A login in progress: builds the login page's URL for a redirect URI, and exchanges the code that the
 * browser returns with for credentials.
 */
class Login {
  #provider;
  #baseUrl;
  #verifier = randomBytes(32).toString("base64url");
  /** The `state` that the browser must return, so that a forged callback is rejected. */
  state = randomBytes(16).toString("base64url");

  /**
   * @param {string} baseUrl
   * @param {Provider} provider
   */
  constructor(baseUrl, provider) {
    this.#baseUrl = baseUrl;
    this.#provider = provider;
  }

  /**
   * @param {string} baseUrl of the deployment
   * @returns {Promise<Login>}
   */
  static async begin(baseUrl) {
    const text = await native(async () => binding.loginProvider(environment(), baseUrl));
    return new Login(baseUrl, JSON.parse(text));
  }

  get ports() {
    return this.#provider.callbackPorts;
  }

  get domain() {
    return this.#provider.auth0Domain;
  }

  /** @param {string} redirectUri */
  url(redirectUri) {
    const challenge = createHash("sha256").update(this.#verifier).digest("base64url");
    const provider = JSON.stringify(this.#provider);
    return nativeSync(() => binding.loginUrl(provider, redirectUri, this.state, challenge));
  }

  /**
   * Exchanges the code for credentials and stores them.
   * @param {string} code
   * @param {string} redirectUri
   * @param {import("..").Credentials | null} seen the stored credentials when the login began
   */
  async finish(code, redirectUri, seen) {
    const provider = JSON.stringify(this.#provider);
    const grant = JSON.stringify({ code, verifier: this.#verifier, redirectUri });
    const before = JSON.stringify(seen);
    await native(async () =>
      binding.finishLogin(environment(), this.#baseUrl, provider, grant, before),
    );
  }
}

/** Rejects if a login couldn't be stored because of the existing credentials file. */
async function checkLogin() {
  await native(async () => binding.checkLogin(environment()));
}

/**
 * Stores an identity that the user asked for.
 * @param {import("..").Credentials} credentials
 * @param {import("..").Credentials | null} seen the stored credentials when the login began
 */
async function signIn(credentials, seen) {
  const [now, before] = [JSON.stringify(credentials), JSON.stringify(seen)];
  await native(async () => binding.signIn(environment(), now, before));
}

/**
 * Deletes the stored credentials.
 * @param {Buffer} [seen] the content that the user confirmed deleting; without it, any content is deleted
 */
async function signOut(seen) {
  await native(async () => binding.signOut(environment(), seen));
}

function environment() {
  return JSON.stringify(readEnvironment());
}

module.exports = { Login, cancelJob, checkLogin, listJobs, resumeJob, signIn, signOut, whoami };
