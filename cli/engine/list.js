// `arkor engine list` and `arkor engine remove`.

const fs = require("node:fs");
const { version } = require("../../package.json");
const { printableJson } = require("../../lib/printable.js");
const { formatSize } = require("../format.js");
const { findLocalBackend, findTorchWorker } = require("../local/find.js");
const { print, say } = require("../output.js");
const { table } = require("../table.js");
const { alone, environmentAt, ownUvPlaces, placeOf, places } = require("./environments.js");
const { readLock } = require("./lock.js");
const { measure } = require("./space.js");

/**
 * @typedef {object} Engine
 * @property {string} engine
 * @property {"built in" | "installed" | "not installed" | "outdated"} status
 * @property {string | null} version of arkor-local, or of torch
 * @property {string | null} place
 * @property {number | null} bytes on disk
 */

/** @param {{ json?: boolean }} options */
function listEngines({ json }) {
  const engines = [cpuEngine(), ...torchEngines()];
  if (json) {
    process.stdout.write(`${printableJson(engines)}\n`);
    return;
  }
  const columns = ["ENGINE", "STATUS", "VERSION", "SIZE", "PLACE"].map((title) => ({ title }));
  const rows = engines.map(({ engine, status, version, place, bytes }) => [
    engine,
    status,
    version ?? "-",
    bytes === null ? "-" : formatSize(bytes),
    place ?? "-",
  ]);
  process.stdout.write(`${table(columns, rows).join("\n")}\n`);
}

/** @returns {Engine} */
function cpuEngine() {
  const place = findLocalBackend(process.cwd(), process.env).at(-1) ?? "";
  const bytes = fs.statSync(place).size;
  return { engine: "cpu", status: "built in", version, place, bytes };
}

/** @returns {Engine[]} the one that this project uses comes first */
function torchEngines() {
  const worker = findTorchWorker(process.cwd());
  const current = worker && placeOf(readLock(worker).hash);
  const found = places().flatMap((place) => {
    const environment = environmentAt(place);
    return environment ? [environment] : [];
  });
  const engines = found
    .sort((a, b) => Number(b.place === current) - Number(a.place === current))
    .map(({ place, marker }) => ({
      engine: "torch",
      status:
        place === current ? /** @type {const} */ ("installed") : /** @type {const} */ ("outdated"),
      version: marker.packages.torch ?? null,
      place,
      bytes: measure([place]).bytes,
    }));
  if (engines[0]?.status === "installed") return engines;
  const missing = { version: null, place: null, bytes: null };
  return [{ engine: "torch", status: "not installed", ...missing }, ...engines];
}

/** Removes all environments of the torch engine, and the uv that was installed for them. */
async function removeTorch() {
  await alone(async () => {
    const environments = places();
    if (environments.length === 0) {
      print("The torch engine isn't installed.");
      return;
    }
    const all = [...environments, ...ownUvPlaces()];
    const { bytes, shared } = measure(all);
    for (const place of all) fs.rmSync(place, { recursive: true, force: true });
    for (const place of environments) print(`Removed ${place}`);
    print(`Freed ${formatSize(bytes - shared)}`);
    if (shared > 0) {
      say(`Another ${formatSize(shared)} are still in uv's cache. To free them: uv cache clean`);
    }
  });
}

module.exports = { cpuEngine, listEngines, removeTorch, torchEngines };
