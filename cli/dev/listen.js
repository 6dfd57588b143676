// Listens on both loopback addresses. A browser may use either for `localhost`, so a program on the other
// address would get the page's requests.

const http = require("node:http");
const { CliError } = require("../errors.js");

const DEFAULT_PORT = 4000;
const TRIES = 10;
/** The error codes for a machine without IPv6. */
const NO_IPV6 = ["EADDRNOTAVAIL", "EAFNOSUPPORT", "EINVAL"];

/**
 * @param {number | undefined} wanted the port that the user asked for; without it, the first free one from `first` on
 * @param {import("node:http").RequestListener} listener
 * @param {(line: string) => void} say
 * @param {number} [first] the first port to try if the user didn't ask for one
 * @returns {Promise<{ port: number, servers: http.Server[] }>}
 * @throws {CliError} if the port is in use
 */
async function listen(wanted, listener, say, first = DEFAULT_PORT) {
  for (let port = wanted ?? first; ; port += 1) {
    try {
      return await listenAt(port, listener);
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      if (code !== "EADDRINUSE") throw unusable(port, error);
      if (wanted !== undefined) {
        const message = `Port ${port} is in use. Give another one with --port.`;
        throw new CliError(message, { cause: error });
      }
      if (port + 1 === first + TRIES) {
        const range = `${first} to ${port}`;
        const message = `The ports ${range} are in use. Give another one with --port.`;
        throw new CliError(message, { cause: error });
      }
      say(`Port ${port} is in use; trying ${port + 1}.`);
    }
  }
}

/**
 * @param {number} port
 * @param {import("node:http").RequestListener} listener
 */
async function listenAt(port, listener) {
  const first = await open("127.0.0.1", port, listener);
  const address = /** @type {import("node:net").AddressInfo} */ (first.address());
  try {
    const second = await open("::1", address.port, listener);
    return { port: address.port, servers: [first, second] };
  } catch (error) {
    const { code = "" } = /** @type {NodeJS.ErrnoException} */ (error);
    if (NO_IPV6.includes(code)) return { port: address.port, servers: [first] };
    first.close();
    throw error;
  }
}

/**
 * @param {string} host
 * @param {number} port
 * @param {import("node:http").RequestListener} listener
 * @returns {Promise<http.Server>}
 */
function open(host, port, listener) {
  const server = http.createServer(listener);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => resolve(server));
  });
}

/**
 * @param {number} port
 * @param {unknown} error
 */
function unusable(port, error) {
  const message = error instanceof Error ? error.message : String(error);
  return new CliError(`Port ${port} can't be used: ${message}`, { cause: error });
}

module.exports = { listen };
