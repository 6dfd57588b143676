// `arkor login`: signs in with an anonymous identity, or an account by OAuth.

const { checkLogin, signIn } = require("../lib/account.js");
const {
  credentialsPath,
  defaultArkorCloudApiUrl,
  ensureCredentials,
  readCredentials,
  requestAnonymousToken,
} = require("../lib/credentials.js");
const { CliError } = require("./errors.js");
const { arkorCommand } = require("./invocation.js");
const { print, say } = require("./output.js");
const { canAsk, confirm, select } = require("./prompt.js");

/** @typedef {import("..").Credentials} Credentials */

/**
 * @typedef {object} LoginOptions
 * @property {boolean} [anonymous]
 * @property {boolean} [oauth]
 * @property {boolean} browser false with --no-browser
 */

/**
 * @param {LoginOptions} options
 * @returns {Promise<void>}
 */
async function login(options) {
  const { anonymous, oauth, browser } = options;
  if (anonymous && oauth) throw new CliError("--anonymous and --oauth can't be used together.");
  if (process.env.ARKOR_LOCAL_TOKEN) {
    throw new CliError(
      "ARKOR_LOCAL_TOKEN is set, so the identity is the local backend's. Unset it to log in.",
    );
  }
  if (oauth && process.env.CI) throw new CliError(NO_BROWSER_IN_CI);
  await checkLogin();
  const stored = await readCredentials();
  if (oauth || (!anonymous && canAsk() && (await ask()) === "oauth")) {
    if (stored?.mode === "anon" && !(await mayReplace(stored.orgSlug))) {
      print("Still signed in anonymously.");
      return;
    }
    const baseUrl = defaultArkorCloudApiUrl(stored);
    await require("./login/oauth.js").loginByOAuth(baseUrl, { browser, seen: stored });
    print(`Signed in at ${baseUrl}. The credentials are in ${credentialsPath()}`);
  } else {
    await loginAnonymously(stored, Boolean(anonymous));
  }
}

const NO_BROWSER_IN_CI = `--oauth needs a person at a browser, and CI is set. Use ${arkorCommand("login --anonymous")} instead.`;

function ask() {
  return select("How do you want to sign in?", [
    { value: "anonymous", label: "Anonymously", hint: "at once, without an account" },
    { value: "oauth", label: "With an account", hint: "in the browser" },
  ]);
}

/**
 * @param {string} orgSlug of the anonymous identity
 * @returns {Promise<boolean>}
 */
async function mayReplace(orgSlug) {
  say(`warning: This replaces the anonymous identity of ${orgSlug}, which can't be restored.`);
  return !canAsk() || (await confirm("Go on?", false));
}

/**
 * @param {Credentials | null} stored
 * @param {boolean} wanted whether the flag was given; only then is an account replaced
 */
async function loginAnonymously(stored, wanted) {
  if (stored?.mode === "anon") {
    const wantedUrl = defaultArkorCloudApiUrl(stored);
    if (wantedUrl !== stored.arkorCloudApiUrl) {
      throw new CliError(
        `ARKOR_CLOUD_API_URL is ${wantedUrl}, but the anonymous identity of ${stored.orgSlug} belongs ` +
          `to ${stored.arkorCloudApiUrl}. To get one there: ${arkorCommand("logout")}, then ${arkorCommand("login --anonymous")}`,
      );
    }
    print(`Already signed in anonymously, as ${stored.orgSlug}.`);
    return;
  }
  if (stored && !wanted) {
    print(`Already signed in with an account. To change that: ${arkorCommand("logout")}`);
    return;
  }
  const { orgSlug } = stored ? await replaceByAnonymous(stored) : await ensureAnonymous();
  print(`Signed in anonymously, as ${orgSlug}. The credentials are in ${credentialsPath()}`);
}

async function ensureAnonymous() {
  const credentials = await ensureCredentials();
  // Another process may have signed in in the meantime.
  if (credentials.mode !== "anon") throw new CliError("Another arkor has signed in meanwhile.");
  return credentials;
}

/**
 * @param {Credentials} stored the account to replace
 * @returns {Promise<import("..").AnonymousCredentials>}
 */
async function replaceByAnonymous(stored) {
  const arkorCloudApiUrl = defaultArkorCloudApiUrl();
  const { token, anonymousId, orgSlug } = await requestAnonymousToken(arkorCloudApiUrl);
  const credentials = {
    mode: /** @type {const} */ ("anon"),
    token,
    anonymousId,
    arkorCloudApiUrl,
    orgSlug,
  };
  await signIn(credentials, stored);
  return credentials;
}

module.exports = { login };
