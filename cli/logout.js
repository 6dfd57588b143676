// `arkor logout`: deletes the credentials.

const fs = require("node:fs");
const { credentialsPath } = require("../lib/identity.js");
const { CliError } = require("./errors.js");
const { canAsk, confirm } = require("./prompt.js");

/**
 * @param {{ force?: boolean }} options
 * @returns {Promise<void>}
 */
async function logout({ force }) {
  const file = credentialsPath();
  if (!fs.existsSync(file)) {
    process.stdout.write("Not signed in.\n");
    return;
  }
  if (isAnonymous(file)) {
    process.stderr.write(
      "warning: An anonymous identity can't be restored; without it, its projects and jobs are out of reach.\n",
    );
  }
  if (!force) {
    if (!canAsk()) {
      throw new CliError("Nobody is here to confirm it; add -f to delete without asking.");
    }
    if (!(await confirm(`Delete ${file}?`, false))) {
      process.stdout.write("Still signed in.\n");
      return;
    }
  }
  fs.rmSync(file, { force: true });
  process.stdout.write("Signed out.\n");
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
