// The functions for credentials and project state that the package exports. Rust does the file access and the
// requests.
"use strict";

const { binding } = require("./addon.js");
const { readEnvironment, readHome } = require("./environment.js");
const { native, notify } = require("./errors.js");

/** @returns {string} */
function credentialsPath() {
  return binding.credentialsPath(usableHome());
}

/**
 * The home directory, for a call that needs a file in it.
 * @returns {string}
 */
function usableHome() {
  const { home, homeFault } = readHome();
  if (home === undefined) throw new Error(homeFault);
  return home;
}

/** @returns {Promise<import("..").Credentials | null>} */
async function readCredentials() {
  const environment = JSON.stringify(readEnvironment());
  return parsed(await native(async () => binding.readCredentials(environment)));
}

/** @param {import("..").Credentials} credentials */
async function writeCredentials(credentials) {
  await native(async () =>
    binding.writeCredentials(usableHome(), JSON.stringify(credentials ?? null)),
  );
}

/** @returns {Promise<import("..").Credentials>} */
async function ensureCredentials() {
  const environment = JSON.stringify(readEnvironment());
  return JSON.parse(await native(async () => binding.ensureCredentials(environment)));
}

/**
 * @param {string} baseUrl
 * @param {"cli" | "web"} [kind]
 * @returns {Promise<import("..").AnonymousToken>}
 */
async function requestAnonymousToken(baseUrl, kind = "cli") {
  const environment = JSON.stringify(readEnvironment());
  const text = await native(async () => binding.requestAnonymousToken(environment, baseUrl, kind));
  return JSON.parse(text);
}

/**
 * @param {import("..").Credentials | null} [credentials]
 * @returns {string}
 */
function defaultArkorCloudApiUrl(credentials) {
  return binding.defaultBaseUrl(process.env.ARKOR_CLOUD_API_URL, credentials?.arkorCloudApiUrl);
}

/**
 * @param {string} [cwd]
 * @returns {string}
 */
function statePath(cwd = process.cwd()) {
  return binding.statePath(cwd);
}

/**
 * @param {string} [cwd]
 * @returns {Promise<import("..").ArkorProjectState | null>}
 */
async function readState(cwd = process.cwd()) {
  return parsed(await native(async () => binding.readState(cwd)));
}

/**
 * @param {import("..").ArkorProjectState} state
 * @param {string} [cwd]
 */
async function writeState(state, cwd = process.cwd()) {
  await native(async () => binding.writeState(cwd, JSON.stringify(state ?? null)));
}

/**
 * The listener that the engine calls with renewed credentials, as JSON text. It doesn't throw.
 * @param {((credentials: import("..").OAuthCredentials) => unknown) | undefined} onCredentials
 * @returns {((text: string) => void) | undefined}
 */
function listenerFor(onCredentials) {
  if (onCredentials == null) return undefined;
  if (typeof onCredentials !== "function") {
    throw new TypeError("`onCredentials` must be a function");
  }
  return (text) => notify(onCredentials, JSON.parse(text));
}

/** @param {string | null | undefined} text */
function parsed(text) {
  return text == null ? null : JSON.parse(text);
}

module.exports = {
  credentialsPath,
  defaultArkorCloudApiUrl,
  ensureCredentials,
  listenerFor,
  readCredentials,
  readState,
  requestAnonymousToken,
  statePath,
  writeCredentials,
  writeState,
};
