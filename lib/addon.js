// Loads the native addon for this platform, or reports a single error with the cause and the remedy. The
// generated loader (`binding.js`) tries many file names and reports a failure for each; only one of them
// matters to the user.
"use strict";

const { existsSync } = require("node:fs");
const path = require("node:path");

/** The platforms that the package is published for, as npm/ names them. */
const PLATFORMS = [
  "darwin-arm64",
  "darwin-x64",
  "linux-arm64-gnu",
  "linux-arm64-musl",
  "linux-x64-gnu",
  "linux-x64-musl",
  "win32-arm64-msvc",
  "win32-x64-msvc",
];

/**
 * @typedef {object} Machine
 * @property {string} platform `process.platform`
 * @property {string} arch `process.arch`
 * @property {string | undefined} glibc the version of glibc; undefined with musl
 */

/** @returns {Machine} */
function thisMachine() {
  const { platform, arch } = process;
  const report =
    platform === "linux" ? /** @type {any} */ (process.report?.getReport()) : undefined;
  return { platform, arch, glibc: report?.header?.glibcVersionRuntime };
}

/**
 * @param {Machine} machine
 * @returns {string} one of {@link PLATFORMS}
 */
function platformName({ platform, arch, glibc }) {
  const abis = { linux: glibc === undefined ? "-musl" : "-gnu", win32: "-msvc" };
  return `${platform}-${arch}${Reflect.get(abis, platform) ?? ""}`;
}

/**
 * The message for the user, instead of the loader's own.
 * @param {Machine} machine
 * @param {string | undefined} installed the addon's file for this machine, if it exists
 * @param {unknown} error the loader's error
 * @returns {string}
 */
function explain(machine, installed, error) {
  const name = platformName(machine);
  const libc = machine.platform === "linux" ? `, ${libcName(machine)}` : "";
  const here = `${machine.platform} ${machine.arch}${libc}`;
  if (!PLATFORMS.includes(name)) {
    return (
      `arkor has no native engine for ${here}. There is one for ${PLATFORMS.join(", ")}. ` +
      "Elsewhere, build it from the sources: `npm run build` in a checkout of arkor, with Rust."
    );
  }
  if (installed === undefined) {
    return (
      `arkor's native engine for ${here} is not installed: @arkor/arkor-${name} is missing. ` +
      "npm leaves it out with --omit=optional, and when node_modules was installed on another " +
      "platform. Delete node_modules and run `npm install --include=optional` on this machine; in " +
      "a checkout of arkor, `npm run build`."
    );
  }
  const needs = machine.glibc === undefined ? "" : " It needs glibc 2.28 or later.";
  return (
    `arkor's native engine for ${here} is installed, but can't be loaded: ` +
    `${reason(error, installed)}.${needs} Delete node_modules and run \`npm install\` on this machine.`
  );
}

/** @param {Machine} machine */
function libcName({ glibc }) {
  return glibc === undefined ? "musl" : `glibc ${glibc}`;
}

/**
 * Picks the dynamic linker's message about `file` from the chain of errors, one for each file that was tried.
 * @param {unknown} error
 * @param {string} file
 * @returns {string}
 */
function reason(error, file) {
  const base = path.basename(file);
  let last = "";
  for (let at = /** @type {any} */ (error); at instanceof Error; at = at.cause) {
    const words = at.message.split("\n", 1)[0];
    if (at.message.includes(base) && !words.startsWith("Cannot find module")) return words;
    last = words;
  }
  return last;
}

/**
 * @param {string} name
 * @returns {string | undefined} the addon's file for this platform, built in a checkout or installed
 */
function installedAddon(name) {
  const file = `arkor.${name}.node`;
  const built = path.join(__dirname, "..", file);
  if (existsSync(built)) return built;
  try {
    return require.resolve(`@arkor/arkor-${name}/package.json`).replace(/package\.json$/, file);
  } catch {
    return undefined;
  }
}

/**
 * The error to show if the process is out of file descriptors, in which case the installation is fine.
 * @param {unknown} error the loader's error
 * @returns {Error | undefined}
 */
function outOfDescriptors(error) {
  for (let at = /** @type {any} */ (error); at instanceof Error; at = at.cause) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (at);
    if (code !== "EMFILE" && code !== "ENFILE" && !/too many open files/i.test(at.message))
      continue;
    const message =
      "arkor's native engine can't be loaded: too many files are open. Close some, or raise the limit " +
      "(`ulimit -n`), and call again.";
    const cause = Object.assign(new Error(at.message), {
      code: code === "ENFILE" ? code : "EMFILE",
    });
    return Object.assign(new Error(message, { cause }), { code: cause.code });
  }
  return undefined;
}

/** @typedef {typeof import("../binding.js")} Binding */

/** @type {Binding | undefined} */
let loaded;

/** @returns {Binding} */
function load() {
  try {
    const binding = require("../binding.js");
    startLog(binding);
    return binding;
  } catch (error) {
    const exhausted = outOfDescriptors(error);
    if (exhausted) throw exhausted;
    const machine = thisMachine();
    throw new Error(explain(machine, installedAddon(platformName(machine)), error));
  }
}

/**
 * `ARKOR_LOG`: logs the engine's requests, reconnects, batches and renewals to stderr, one per line.
 * @param {Binding} binding
 */
function startLog(binding) {
  const filter = process.env.ARKOR_LOG;
  if (!filter) return;
  const wrong = binding.startLog(filter);
  if (wrong) process.emitWarning(`ARKOR_LOG is no filter: ${wrong}`, "ArkorLogWarning");
}

/**
 * The addon, loaded on first use. On Node 20, if an ES module imports a CommonJS module that throws, the
 * second such import reports the error as uncaught, although it was caught.
 */
const binding = /** @type {Binding} */ (
  new Proxy(Object.create(null), {
    get(_, name) {
      loaded ??= load();
      return Reflect.get(loaded, name);
    },
  })
);

module.exports = { PLATFORMS, binding, explain, platformName };
