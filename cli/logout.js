// `arkor logout`: deletes the credentials.

const fs = require("node:fs");
const { signOut } = require("../lib/account.js");
const { credentialsPath } = require("../lib/credentials.js");
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
  const content = read(file);
  if (isAnonymous(content)) {
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
  await signOut(force ? undefined : content);
  print("Signed out.");
}

/**
 * @param {string} file
 * @returns {Buffer | undefined} undefined if it can't be read; it's still deleted
 */
function read(file) {
  try {
    return fs.readFileSync(file);
  } catch {
    return undefined;
  }
}

/**
 * @param {Buffer | undefined} content the content of the file to delete, regardless of `ARKOR_LOCAL_TOKEN`
 * @returns {boolean}
 */
function isAnonymous(content) {
  try {
    return JSON.parse(String(content)).mode === "anon";
  } catch {
    return false; // It isn't valid credentials, so deleting it loses nothing.
  }
}

module.exports = { logout };
