// The loopback server that the identity provider redirects the browser to (RFC 8252, section 7.3).

const http = require("node:http");
const { CliError } = require("../errors.js");

const HOST = "127.0.0.1";
const PATH = "/callback";

/**
 * @typedef {object} Answer
 * @property {URLSearchParams} query the query of the redirect
 * @property {(text: string, status?: number) => Promise<void>} show shows a text in the browser
 */

/**
 * @typedef {object} Expected
 * @property {number[]} ports the ports that the browser may be redirected to
 * @property {string} domain of the identity provider, for a message
 * @property {string} state the state that the query must contain
 */

const STRAY =
  "This is not the answer to the login that is under way: it has another state. Use the page that arkor login has opened last.";
const AGAIN = "The answer to this login has arrived already. Go back to the terminal.";

class CallbackServer {
  #server;
  #port;
  /** @type {Promise<Answer>} the first redirect with the right state; the page is open to anybody */
  answer;

  /**
   * @param {http.Server} server a server that's already listening
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
        // Browsers also request an icon.
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
   * Listens on the first free port in the list.
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
 * @returns {Promise<http.Server | undefined>} undefined if the port can't be used
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
 * @returns {URL | undefined} undefined if the target isn't a valid URL, such as `//`
 */
function urlOf({ url = "/" }) {
  const base = `http://${HOST}`;
  return URL.canParse(url, base) ? new URL(url, base) : undefined;
}

/**
 * @param {http.ServerResponse} response
 * @param {string} text
 * @param {number} status
 * @returns {Promise<void>} resolves when the browser has received it or is gone
 */
function show(response, text, status) {
  return new Promise((resolve) => {
    // The page was closed in the meantime; don't report that twice.
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
