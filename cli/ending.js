// Ends a command after it has run the project's code, which may have left resources open.

/** How long unfinished work may take, such as a callback that nobody awaits, or a connection that is closing. */
const GRACE_MS = 3000;

/** Readable names for Node's resource types. Types that aren't listed keep Node's name. */
const NAMES = new Map([
  ["Timeout", "a timer"],
  ["Immediate", "a timer"],
  ["TCPSocketWrap", "a connection"],
  ["TLSWrap", "a connection"],
  ["GetAddrInfoReqWrap", "a connection"],
  ["TCPServerWrap", "a server"],
  ["HTTPServer", "a server"],
  ["UDPWrap", "a socket"],
  ["FSEventWrap", "a file watcher"],
  ["StatWatcher", "a file watcher"],
  ["ProcessWrap", "a child process"],
]);

/** Types that aren't reported: they belong to the command, or to another resource that is reported. */
const IGNORED = new Set(["TTYWrap", "PipeWrap", "CloseReq", "WriteWrap"]);

/**
 * Lets the process end on its own, and ends it after a while if it doesn't.
 * @param {number} code
 * @param {(line: string) => void} say
 */
function endSoon(code, say) {
  // This runs only if something else keeps the process alive.
  const timer = setTimeout(() => {
    say(`warning: the project left ${leftOpen()} open; ended without waiting for it.`);
    void endNow(code);
  }, GRACE_MS);
  timer.unref();
}

function leftOpen() {
  const types = process.getActiveResourcesInfo().filter((type) => !IGNORED.has(type));
  const names = new Set(types.map((type) => NAMES.get(type) ?? type));
  return names.size > 0 ? [...names].join(" and ") : "something";
}

/**
 * Ends the process once its output is flushed.
 * @param {number} code
 * @returns {Promise<never>}
 */
async function endNow(code) {
  await Promise.all([process.stdout, process.stderr].map(flushed));
  process.exit(code);
}

/** @param {NodeJS.WriteStream} stream */
function flushed(stream) {
  return new Promise((/** @type {(value: void) => void} */ resolve) => {
    // Nobody reads the stream any more.
    if (stream.destroyed || stream.writableEnded) resolve();
    else stream.write("", () => resolve());
  });
}

module.exports = { endNow, endSoon };
