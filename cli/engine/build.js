// Chooses the build of PyTorch for a machine. On Linux, PyPI has only the build for NVIDIA GPUs, which is ten
// times as large; on Windows, only the one for the CPU. PyTorch's own index has the others.

const fs = require("node:fs");
const { CliError } = require("../errors.js");
const { run } = require("./process.js");

/** @typedef {"cpu" | "cuda" | "mps"} Build */
/** @typedef {{ platform: string, machine: string }} Machine */

/** @type {Record<Build, string>} */
const BUILD_NAMES = { cpu: "CPU", cuda: "CUDA", mps: "macOS" };
const DRIVER = "/proc/driver/nvidia/version";
const ANSWER_MS = 10_000;

/** The machine names that wheels use. */
const MACHINES = new Map([
  ["linux x64", "x86_64"],
  ["linux arm64", "aarch64"],
  ["darwin arm64", "arm64"],
  ["win32 x64", "amd64"],
]);

/**
 * @param {{ platform: string, arch: string, musl: boolean }} [host]
 * @returns {Machine}
 * @throws {CliError} if PyTorch has no build for it
 */
function machineOf(host = thisHost()) {
  const { platform, arch, musl } = host;
  const machine = MACHINES.get(`${platform} ${arch}`);
  if (machine && !musl) return { platform, machine };
  const is = platform === "darwin" ? "Macs with Intel processors" : musl ? "musl" : arch;
  throw new CliError(
    `The torch engine can't be installed here: PyTorch has no build for ${is}${musl || platform === "darwin" ? "" : ` on ${platform}`}. ` +
      "Train with the CPU engine, which needs no installation: arkor start --local --engine cpu",
  );
}

function thisHost() {
  const { platform, arch } = process;
  const report = /** @type {any} */ (platform === "linux" ? process.report?.getReport() : {});
  return { platform, arch, musl: platform === "linux" && !report?.header?.glibcVersionRuntime };
}

/**
 * @param {Machine} machine
 * @param {{ cpu?: boolean, cuda?: boolean }} wanted
 * @param {() => Promise<boolean>} [hasGpu]
 * @returns {Promise<Build>}
 * @throws {CliError}
 */
async function buildFor({ platform }, { cpu, cuda }, hasGpu = hasNvidiaGpu) {
  if (cpu && cuda) throw new CliError("--cpu and --cuda exclude each other; leave one out.");
  if (platform === "darwin") {
    if (!cuda) return "mps";
    throw new CliError(
      "--cuda is for machines with an NVIDIA GPU, and PyTorch has no CUDA build for macOS. Leave it out.",
    );
  }
  if (cpu) return "cpu";
  return cuda || (await hasGpu()) ? "cuda" : "cpu";
}

/**
 * @param {string} [driver] the file that NVIDIA's driver creates on Linux
 * @returns {Promise<boolean>}
 */
async function hasNvidiaGpu(driver = DRIVER) {
  if (fs.existsSync(driver)) return true;
  try {
    return (await run(["nvidia-smi"], { signal: AbortSignal.timeout(ANSWER_MS) })).ok;
  } catch {
    return false;
  }
}

/**
 * @param {Machine} machine
 * @param {Build} build
 * @returns {string | undefined} uv's name for the index that has the build; undefined for PyPI
 */
function backendOf({ platform }, build) {
  if (platform === "linux" && build === "cpu") return "cpu";
  // uv chooses the CUDA version that fits the driver.
  return platform === "win32" && build === "cuda" ? "auto" : undefined;
}

module.exports = { BUILD_NAMES, backendOf, buildFor, hasNvidiaGpu, machineOf };
