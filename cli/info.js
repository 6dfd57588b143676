// `arkor info`: collects the facts for a bug report. It contains no secrets, and shows problems instead of
// failing.

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { version } = require("../package.json");
const { printableJson } = require("../lib/printable.js");
const { System } = require("./dev/system.js");
const { enginesDirectory } = require("./engine/environments.js");
const { cpuEngine, torchEngines } = require("./engine/list.js");
const { measure } = require("./engine/space.js");
const { describe } = require("./errors.js");
const { facts } = require("./facts.js");
const { formatSize } = require("./format.js");
const { settings, withoutHome } = require("./info/settings.js");
const { findLocalBackend } = require("./local/find.js");
const { painter } = require("./paint.js");

const STORE = path.join(".arkor", "local");

/** @typedef {Awaited<ReturnType<typeof gather>>} Info */

/** @param {{ json?: boolean }} options */
async function showInfo({ json }) {
  const info = await gather();
  if (json) process.stdout.write(`${printableJson(info)}\n`);
  else process.stdout.write(`${linesOf(info, process.stdout).join("\n")}\n`);
}

async function gather() {
  const { cpu, memory, gpus = [] } = await new System().info(undefined);
  return {
    versions: { arkor: version, local: localVersion(), node: process.versions.node },
    system: {
      os: osName(),
      kernel: `${os.type()} ${os.release()}`,
      platform: process.platform,
      arch: process.arch,
      libc: libc(),
    },
    addon: attempt(() => {
      require("../lib/addon.js");
      return "loaded";
    }),
    engines: {
      cpu: attempt(() => cpuEngine()),
      torch: attempt(() => torchEngines()),
    },
    devices: {
      cpu: { model: cpu.model, cores: cpu.cores },
      memoryBytes: memory.total,
      gpus: gpus.map(({ name, memory: { total } }) => ({ name, memoryBytes: total })),
    },
    caches: [
      cache("Hugging Face Hub", hubCache(process.env)),
      cache("engines", enginesDirectory()),
      cache("this project's runs", path.resolve(STORE)),
    ],
    account: await account(),
    settings: settings(process.env),
  };
}

/**
 * @template T
 * @param {() => T} read
 * @returns {T | { error: string }}
 */
function attempt(read) {
  try {
    return read();
  } catch (error) {
    return { error: describe(error) };
  }
}

/** @returns {string | null} the version of `@arkor/local` that a run would use */
function localVersion() {
  try {
    const [program = ""] = findLocalBackend(process.cwd(), process.env).slice(-1);
    const { execFileSync } = require("node:child_process");
    const isScript = /\.[cm]?js$/.test(program);
    const [command, args] = isScript ? [process.execPath, [program]] : [program, []];
    const printed = execFileSync(command, [...args, "--version"], {
      encoding: "utf8",
      timeout: 5000,
      stdio: ["ignore", "pipe", "ignore"],
    });
    return printed.trim().split(" ").at(-1) ?? null;
  } catch {
    return null;
  }
}

/** @returns {string} such as `Debian GNU/Linux 12 (bookworm)`, or the system's own name */
function osName() {
  try {
    const release = fs.readFileSync("/etc/os-release", "utf8");
    return release.match(/^PRETTY_NAME="?(.*?)"?$/m)?.[1] ?? os.version();
  } catch {
    return os.version();
  }
}

function libc() {
  if (process.platform !== "linux" || !process.report) return null;
  // Otherwise the report would look up the host names of open connections.
  Object.assign(process.report, { excludeNetwork: true });
  const { header } = /** @type {any} */ (process.report.getReport());
  const glibc = header?.glibcVersionRuntime;
  return glibc === undefined ? "musl" : `glibc ${glibc}`;
}

/**
 * The directory in which Hugging Face's libraries and arkor-local keep their downloads.
 * @param {NodeJS.ProcessEnv} env
 */
function hubCache(env) {
  const { HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = env;
  const home = XDG_CACHE_HOME || path.join(os.homedir(), ".cache");
  return (
    HF_HUB_CACHE ||
    HUGGINGFACE_HUB_CACHE ||
    path.join(HF_HOME || path.join(home, "huggingface"), "hub")
  );
}

/**
 * @param {string} name
 * @param {string} place
 * @returns {{ name: string, place: string, bytes: number | null }} `bytes` is null if it's missing or unreadable
 */
function cache(name, place) {
  try {
    return { name, place, bytes: measure([place]).bytes };
  } catch {
    return { name, place, bytes: null };
  }
}

/** @returns {Promise<{ mode: string | null, org: string | null } | { error: string }>} without the token */
async function account() {
  try {
    const { readCredentials } = require("../lib/credentials.js");
    const credentials = await readCredentials();
    const { mode = null, orgSlug = null } = /** @type {any} */ (credentials ?? {});
    return { mode, org: orgSlug };
  } catch (error) {
    return { error: describe(error) };
  }
}

/**
 * @param {Info} info
 * @param {NodeJS.WriteStream} stream
 */
function linesOf(info, stream) {
  const paint = painter(stream);
  const { versions, system, devices, engines } = info;
  const sections = {
    Versions: [
      ["arkor", versions.arkor],
      ["@arkor/local", versions.local ?? "not installed, or it can't be started"],
      ["Node", versions.node],
      ["native addon", textOrError(info.addon, (state) => state)],
    ],
    System: [
      ["system", `${system.os}, ${system.kernel}`],
      ["platform", [system.platform, system.arch, system.libc].filter(Boolean).join(" ")],
      ["CPU", `${devices.cpu.model}, ${devices.cpu.cores} cores`],
      ["memory", formatSize(devices.memoryBytes)],
      ...devices.gpus.map((gpu) => [
        "GPU",
        gpu.memoryBytes === null ? gpu.name : `${gpu.name}, ${formatSize(gpu.memoryBytes)}`,
      ]),
      ...(devices.gpus.length === 0 ? [["GPU", "none that nvidia-smi knows"]] : []),
    ],
    Engines: [
      ["cpu", textOrError(engines.cpu, ({ status, place }) => `${status}, ${place}`)],
      ["torch", textOrError(engines.torch, (all) => all.map(engineText).join("; "))],
    ],
    Caches: info.caches.map(({ name, place, bytes }) => [
      name,
      `${place}, ${bytes === null ? "not there" : formatSize(bytes)}`,
    ]),
    Account: [["signed in", textOrError(info.account, signedIn)]],
    Settings: Object.entries(info.settings),
  };
  return Object.entries(sections).flatMap(([title, rows]) => [
    paint("bold", title),
    ...facts(
      (rows.length > 0 ? rows : [["", "none"]]).map(([label = "", value = ""]) => ({
        label,
        value: withoutHome(value),
      })),
      paint,
      stream.isTTY ? stream.columns : undefined,
    ),
  ]);
}

/**
 * @template T
 * @param {T | { error: string }} found
 * @param {(found: T) => string} text
 */
function textOrError(found, text) {
  const { error } = /** @type {{ error?: unknown }} */ (Object(found));
  return typeof error === "string" ? error : text(/** @type {T} */ (found));
}

/** @param {import("./engine/list.js").Engine} engine */
function engineText({ status, version: found, place }) {
  return [status, found === null ? null : `torch ${found}`, place].filter(Boolean).join(", ");
}

/** @param {{ mode: string | null, org: string | null }} account */
function signedIn({ mode, org }) {
  if (mode === null) return "no";
  return org === null ? mode : `${mode}, organisation ${org}`;
}

module.exports = { showInfo };
