// `~/.arkor/studio-token`: the token of the Studio that was started last, for scripts that the same user
// runs.

const { randomBytes } = require("node:crypto");
const fs = require("node:fs");
const { homedir } = require("node:os");
const path = require("node:path");

/** @param {string} token */
function writeToken(token) {
  const file = path.join(homedir(), ".arkor", "studio-token");
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  const temporary = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    // Create a new file, because an existing one would keep its mode.
    fs.writeFileSync(temporary, token, { flag: "wx", mode: 0o600 });
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
  return file;
}

/**
 * Removes the file, unless another Studio has written its token there in the meantime.
 * @param {string} file
 * @param {string} token
 */
function removeToken(file, token) {
  try {
    if (fs.readFileSync(file, "utf8") === token) fs.rmSync(file, { force: true });
  } catch {
    // It's already gone.
  }
}

module.exports = { removeToken, writeToken };
