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
  const { abi, libc } = linkage();
  const name = `@arkor/local-${process.platform}-${process.arch}${abi}`;
  try {
    return require.resolve(`${name}/${file}`);
  } catch (cause) {
    throw new Error(
      `There is no arkor-local binary for ${process.platform} ${process.arch}${libc}: ${name} is not installed. ` +
        "npm leaves it out with --omit=optional, and when node_modules was installed on another " +
        "platform: delete node_modules and run `npm install --include=optional` on this machine. There " +
        "is one for Linux (glibc and musl), macOS and Windows, each x64 and arm64; elsewhere, and in a " +
        "checkout of arkor, `npm run build` makes it, with Rust.",
      { cause },
    );
  }
}

/**
 * What the binary is linked against, beside the platform: in a package's name and in words.
 * @returns {{ abi: string, libc: string }}
 */
function linkage() {
  if (process.platform === "win32") return { abi: "-msvc", libc: "" };
  if (process.platform !== "linux") return { abi: "", libc: "" };
  const report = /** @type {any} */ (process.report?.getReport());
  const glibc = report?.header?.glibcVersionRuntime;
  return glibc ? { abi: "-gnu", libc: `, glibc ${glibc}` } : { abi: "-musl", libc: ", musl" };
}

module.exports = { binaryPath };
