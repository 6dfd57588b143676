// `arkor logout`: deletes the credentials.

const fs = require("node:fs");
const { credentialsPath } = require("../lib/identity.js");
const { CliError } = require("./errors.js");
const { print, say } = require("./output.js");
const { canAsk, confirm } = require("./prompt.js");

/**
 * @param {{ force?: boolean }} options
 * @returns {Promise<void>}
 */
async function logout({ force }) {
  const file = credentialsPath();
  if (!fs.existsSync(file)) {
    print("Not signed in.");
    return;
  }
  if (isAnonymous(file)) {
    say(
      "warning: An anonymous identity can't be restored; without it, its projects and jobs are out of reach.",
    );
  }
  if (!force) {
    if (!canAsk()) {
      throw new CliError(
        "Can't ask for confirmation: not a terminal. Add -f to delete without asking.",
      );
    }
    if (!(await confirm(`Delete ${file}?`, false))) {
      print("Still signed in.");
      return;
    }
  }
  fs.rmSync(file, { force: true });
  print("Signed out.");
}

/**
 * @param {string} file what it holds is what is deleted, whatever `ARKOR_LOCAL_TOKEN` says
 * @returns {boolean}
 */
function isAnonymous(file) {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")).mode === "anon";
  } catch {
    return false; // Not readable as credentials: nothing is lost with it.
  }
}

module.exports = { logout };
