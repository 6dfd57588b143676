// `arkor local`: runs only the local backend, until Ctrl-C.

const { arkorCommand } = require("../invocation.js");
const { Interrupts, endBackend } = require("../interrupts.js");
const { print, say } = require("../output.js");
const { LocalBackend } = require("./backend.js");
const { findLocalBackend } = require("./find.js");
const { backendFlags } = require("./flags.js");
const { checkLocalOptions } = require("./options.js");

/**
 * @typedef {object} OwnOptions
 * @property {number} [port]
 * @property {string} [listen]
 * @property {string} [tlsCert]
 * @property {string} [tlsKey]
 */

/** @typedef {OwnOptions & import("./options.js").LocalOptions} ServeOptions */

/**
 * @param {ServeOptions} options
 * @returns {Promise<void>} resolves once the backend has ended
 */
async function serveLocally({ port, listen, tlsCert, tlsKey, ...options }) {
  checkLocalOptions({ ...options, local: true });
  const cwd = process.cwd();
  const outside = Object.entries({ "--listen": listen, "--tls-cert": tlsCert, "--tls-key": tlsKey })
    .filter(([, value]) => value !== undefined)
    .map(([flag, value]) => `${flag}=${value}`);
  const backend = new LocalBackend({
    command: findLocalBackend(cwd, process.env),
    cwd,
    say,
    flags: [...(await backendFlags(cwd, options, say)), ...outside],
    ...(port !== undefined && { port }),
  });
  const interrupts = new Interrupts();
  try {
    const ready = await Promise.race([backend.start(), interrupts.pressed(1)]);
    if (ready) {
      for (const line of instructions(ready)) print(line);
      await Promise.race([backend.lost, interrupts.pressed(1)]);
    }
    if (interrupts.count > 0) say("Ending the backend. Ctrl-C again ends it at once.");
  } finally {
    await endBackend(backend, interrupts);
    interrupts.close();
  }
}

/** @param {import("./child.js").ReadyLine} ready */
function instructions({ url, token }) {
  const set = process.platform === "win32" ? "set" : "export";
  return [
    `The local backend is ready at ${url}`,
    "To train there from a project, in another terminal:",
    `  ${set} ARKOR_CLOUD_API_URL=${url}`,
    `  ${set} ARKOR_LOCAL_TOKEN=${token}`,
    `  ${arkorCommand("start")}`,
    "Ctrl-C ends it.",
  ];
}

module.exports = { serveLocally };
