// The hardware that this machine can train with.

const { execFile } = require("node:child_process");
const os = require("node:os");

/** A hanging driver must not delay the page, and a polling page must not keep a GPU busy. */
const ASK_MS = 2000;
const FRESH_MS = 1500;
const MIB = 1024 * 1024;
const FIELDS = ["name", "memory.total", "memory.used", "utilization.gpu"];

/**
 * @typedef {object} Gpu
 * @property {string} name
 * @property {{ total: number | null, used: number | null }} memory in bytes
 * @property {number | null} utilization in percent
 */

class System {
  /** @type {{ at: number, gpus: Promise<Gpu[] | undefined> } | undefined} */ #known;

  /** @param {{ name: string, device: string | null } | undefined} engine */
  async info(engine) {
    const cpus = os.cpus();
    const gpus = await this.#gpus();
    return {
      engine: engine?.name ?? null,
      device: engine?.device ?? null,
      cpu: { model: cpus[0]?.model.trim() ?? os.arch(), cores: cpus.length, load: os.loadavg()[0] },
      memory: { total: os.totalmem(), free: os.freemem() },
      ...(gpus && { gpus }),
    };
  }

  #gpus() {
    const now = performance.now();
    if (!this.#known || now - this.#known.at > FRESH_MS) this.#known = { at: now, gpus: askGpus() };
    return this.#known.gpus;
  }
}

/** @returns {Promise<Gpu[] | undefined>} undefined if NVIDIA's tool is missing or doesn't respond */
function askGpus() {
  const args = [`--query-gpu=${FIELDS.join(",")}`, "--format=csv,noheader,nounits"];
  return new Promise((resolve) => {
    execFile("nvidia-smi", args, { timeout: ASK_MS, killSignal: "SIGKILL" }, (error, stdout) => {
      const gpus = error ? [] : stdout.split("\n").flatMap((line) => gpuOf(line) ?? []);
      resolve(gpus.length > 0 ? gpus : undefined);
    });
  });
}

/**
 * @param {string} line
 * @returns {Gpu | undefined}
 */
function gpuOf(line) {
  const values = line.split(",").map((value) => value.trim());
  if (values.length < FIELDS.length) return undefined;
  const [total, used, utilization] = values.slice(-3).map(numberOf);
  // A name may contain a comma.
  const name = values.slice(0, -3).join(", ");
  const bytes = (/** @type {number | null | undefined} */ mib) => (mib == null ? null : mib * MIB);
  return {
    name,
    memory: { total: bytes(total), used: bytes(used) },
    utilization: utilization ?? null,
  };
}

/** @param {string} text `[N/A]` if the driver doesn't know the value */
function numberOf(text) {
  const value = Number(text);
  return text === "" || Number.isNaN(value) ? null : value;
}

module.exports = { System };
