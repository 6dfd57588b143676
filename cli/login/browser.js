// Opens a page in the user's browser, with the system's own tool.

const { spawn } = require("node:child_process");

/** @type {Record<string, [program: string, ...args: string[]]>} */
const OPENERS = {
  darwin: ["open"],
  win32: ["rundll32", "url.dll,FileProtocolHandler"],
};

/**
 * @param {string} url
 * @returns {Promise<boolean>} whether the system's opener could be started
 */
function openBrowser(url) {
  const [program, ...args] = OPENERS[process.platform] ?? ["xdg-open"];
  return new Promise((resolve) => {
    const child = spawn(program, [...args, url], { stdio: "ignore", detached: true });
    child.once("error", () => resolve(false));
    child.once("spawn", () => {
      // The opener may run as long as the browser, so don't wait for it.
      child.unref();
      resolve(true);
    });
  });
}

module.exports = { openBrowser };
