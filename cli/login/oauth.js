// Login in the browser: opens the page, and exchanges the authorization code for credentials. The engine
// makes the requests (`src/credentials/login.rs`).

const { Login } = require("../../lib/account.js");
const { CliError, Cancelled, describe } = require("../errors.js");
const { say } = require("../output.js");
const { openBrowser } = require("./browser.js");
const { CallbackServer } = require("./callback.js");

/** How long to wait for the browser, so that an abandoned page doesn't hold the port forever. */
const PATIENCE_MS = 10 * 60 * 1000;

/**
 * @param {string} baseUrl of the deployment
 * @param {{ browser: boolean, seen: import("../..").Credentials | null }} options `seen`: the stored credentials
 * @returns {Promise<void>}
 */
async function loginByOAuth(baseUrl, { browser, seen }) {
  const login = await Login.begin(baseUrl);
  const server = await CallbackServer.listen(login);
  const until = new AbortController();
  const left = leaving(until.signal);
  try {
    const url = login.url(server.redirectUri);
    const opened = browser && (await openBrowser(url));
    say(
      opened
        ? "The login is open in your browser. If it is not, open this page:"
        : "Open this page in a browser on this machine:",
    );
    say(`  ${url}`);
    const answer = await Promise.race([server.answer, left]);
    try {
      const code = codeOf(answer.query);
      await Promise.race([login.finish(code, server.redirectUri, seen), left]);
      await answer.show("Signed in. You can close this page and go back to the terminal.");
    } catch (error) {
      await answer.show(`The login has failed: ${describe(error)}`, 400);
      throw error;
    }
  } finally {
    until.abort();
    server.close();
  }
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<never>} rejects on Ctrl-C, or if the browser doesn't come back in time
 */
function leaving(signal) {
  /** @type {Promise<never>} */
  const left = new Promise((_, reject) => {
    const onInterrupt = () => reject(new Cancelled());
    const timer = setTimeout(() => {
      const minutes = PATIENCE_MS / 60_000;
      reject(new CliError(`Nobody has come back from the browser within ${minutes} minutes.`));
    }, PATIENCE_MS);
    process.once("SIGINT", onInterrupt);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      process.off("SIGINT", onInterrupt);
    });
  });
  // Prevents an unhandled rejection in case this rejects before the caller awaits it.
  left.catch(() => {});
  return left;
}

/**
 * @param {URLSearchParams} query the query of the redirect
 * @returns {string} the authorization code
 */
function codeOf(query) {
  const refusal = query.get("error");
  if (refusal !== null) {
    const words = query.get("error_description");
    throw new CliError(`The login was refused: ${refusal}${words ? ` (${words})` : ""}`);
  }
  const code = query.get("code");
  if (!code) throw new CliError("The browser came back without a code. Run arkor login again.");
  return code;
}

module.exports = { loginByOAuth };
