// Which backend a network error is about: the engine's error has the system's reason only.

const { defaultArkorCloudApiUrl, readCredentials } = require("../lib/identity.js");
const { CliError } = require("./errors.js");

/**
 * @param {unknown} error any thrown value
 * @returns {Promise<unknown>} a network error with the reason's code and the backend, another as it is
 */
async function withBackend(error) {
  if (!(error instanceof TypeError) || error.message !== "fetch failed") return error;
  const { cause } = error;
  if (!(cause instanceof Error) || !("code" in cause) || typeof cause.code !== "string") {
    return error;
  }
  try {
    // The origin only: a URL may have a password in it.
    const { origin } = new URL(defaultArkorCloudApiUrl(await readCredentials()));
    const code = cause.message.includes(cause.code) ? "" : `, ${cause.code}`;
    return new CliError(`fetch failed (${cause.message}${code}; the backend is ${origin})`, {
      cause: error,
    });
  } catch {
    // What hinders it has a message of its own when it is what has failed.
    return error;
  }
}

module.exports = { withBackend };
