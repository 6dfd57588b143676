// The loopback server that the browser comes back to (RFC 8252, section 7.3).

const http = require("node:http");
const { CliError } = require("../errors.js");

const HOST = "127.0.0.1";
const PATH = "/callback";

/**
 * @typedef {object} Answer
 * @property {URLSearchParams} query what the browser has brought
 * @property {(text: string, status?: number) => Promise<void>} show tells the person in the browser
 */

/**
 * @typedef {object} Expected
 * @property {number[]} ports where the browser may come back to
 * @property {string} domain of the identity provider, for a message
 * @property {string} state what the browser has to bring back
 */

const STRAY =
  "This is not the answer to the login that is under way: it has another state. Use the page that arkor login has opened last.";
const AGAIN = "The answer to this login has arrived already. Go back to the terminal.";

class CallbackServer {
  #server;
  #port;
  /** @type {Promise<Answer>} the first one with the right state: anybody can ask for this page */
  answer;

  /**
   * @param {http.Server} server that listens
   * @param {number} port
   * @param {string} state
   */
  constructor(server, port, state) {
    this.#server = server;
    this.#port = port;
    let isAnswered = false;
    this.answer = new Promise((resolve) => {
      server.on("request", (request, response) => {
        const url = urlOf(request);
        // Browsers also ask for an icon.
        if (request.method !== "GET" || url?.pathname !== PATH) {
          response.writeHead(404).end();
          return;
        }
        if (url.searchParams.get("state") !== state) return show(response, STRAY, 400);
        if (isAnswered) return show(response, AGAIN, 409);
        isAnswered = true;
        resolve({
          query: url.searchParams,
          show: (text, status = 200) => show(response, text, status),
        });
      });
    });
  }

  /**
   * Listens on the first of the ports that is free.
   * @param {Expected} expected
   * @returns {Promise<CallbackServer>}
   */
  static async listen({ ports, domain, state }) {
    for (const port of ports) {
      const server = await listenOn(port);
      if (server) return new CallbackServer(server, port, state);
    }
    const list = ports.join(", ");
    throw new CliError(
      `No port is free that ${domain} may come back to (${list}). Close what uses one of them.`,
    );
  }

  get redirectUri() {
    return `http://${HOST}:${this.#port}${PATH}`;
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/**
 * @param {number} port
 * @returns {Promise<http.Server | undefined>} undefined when it can't be had
 */
function listenOn(port) {
  return new Promise((resolve) => {
    const server = http.createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ port, host: HOST, exclusive: true }, () => resolve(server));
  });
}

/**
 * @param {http.IncomingMessage} request
 * @returns {URL | undefined} undefined when its target is none, as `//` is
 */
function urlOf({ url = "/" }) {
  const base = `http://${HOST}`;
  return URL.canParse(url, base) ? new URL(url, base) : undefined;
}

/**
 * @param {http.ServerResponse} response
 * @param {string} text
 * @param {number} status
 * @returns {Promise<void>} when the browser has it, or has gone
 */
function show(response, text, status) {
  return new Promise((resolve) => {
    // The page was closed meanwhile; don't report that twice.
    if (response.destroyed || response.closed) return resolve();
    response.once("close", resolve);
    response.writeHead(status, {
      "content-type": "text/plain; charset=utf-8",
      connection: "close",
    });
    response.end(`${text}\n`);
  });
}

module.exports = { CallbackServer };
