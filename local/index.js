// Where the `arkor-local` binary for this machine is. Built in a checkout it lies next to this file,
// in `bin/`; installed from npm it is in a package of its own per platform.

const fs = require("node:fs");
const path = require("node:path");

/**
 * The absolute path of the binary.
 * @returns {string}
 * @throws {Error} there is none for this platform; the message says what to do
 */
function binaryPath() {
  const file = process.platform === "win32" ? "arkor-local.exe" : "arkor-local";
  const built = path.join(__dirname, "bin", file);
  if (fs.existsSync(built)) return built;
  const name = platformPackage();
  try {
    return require.resolve(`${name}/${file}`);
  } catch (cause) {
    throw new Error(
      `There is no arkor-local binary for ${process.platform}-${process.arch}: ${name} is not installed. ` +
        "Install @arkor/local again without --omit=optional, or in a checkout of arkor run `npm run build`.",
      { cause },
    );
  }
}

/** @returns {string} the npm package that has the binary of this platform */
function platformPackage() {
  const musl = process.platform === "linux" && !isGlibc() ? "-musl" : "";
  return `@arkor/local-${process.platform}-${process.arch}${musl}`;
}

/** @returns {boolean} whether Node itself was linked against glibc */
function isGlibc() {
  const report = /** @type {any} */ (process.report?.getReport());
  return Boolean(report?.header?.glibcVersionRuntime);
}

module.exports = { binaryPath };
