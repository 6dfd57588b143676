// Reads the torch engine's lock file (uv.lock): the packages for one platform, their versions, and the size
// of the download.

const { createHash } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

/**
 * @typedef {object} Target the platform of an installation
 * @property {string} platform as in Python's `sys.platform`: `linux`, `darwin`, `win32`
 * @property {string} machine as in the names of wheels: `x86_64`, `aarch64`, `arm64`, `amd64`
 * @property {number} minor of Python 3
 */

/** @typedef {{ file: string, size: number }} Wheel */
/** @typedef {{ name: string, version?: string, extras: string[], marker: string }} Dependency */

/**
 * @typedef {object} LockedPackage
 * @property {string} name
 * @property {string} version
 * @property {Dependency[]} dependencies
 * @property {Map<string, Dependency[]>} optional by extra
 * @property {Wheel[]} wheels
 */

const PROJECT = "arkor-torch";
/**
 * PyTorch's index has torch without CUDA, or with another version of it. With such a build, these packages
 * don't come from PyPI.
 */
const CUDA_PACKAGES = /^(torch|triton|cuda-.*|nvidia-.*)$/;

/**
 * @param {string} worker the torch engine's folder
 * @returns {{ hash: string, packages: LockedPackage[] }}
 */
function readLock(worker) {
  const content = fs.readFileSync(path.join(worker, "uv.lock"));
  const [, ...parts] = content.toString().split(/^\[\[package\]\]$/m);
  return {
    hash: createHash("sha256").update(content).digest("hex").slice(0, 12),
    packages: parts.map(parsePackage),
  };
}

/**
 * @param {string} text the text after `[[package]]`; uv writes every dependency and wheel on a line of its own
 * @returns {LockedPackage}
 */
function parsePackage(text) {
  /** @type {LockedPackage} */
  const found = { name: "", version: "", dependencies: [], optional: new Map(), wheels: [] };
  let table = "";
  let list = "";
  for (const line of text.split("\n")) {
    table = line.match(/^\[package\.(.+)\]$/)?.[1] ?? table;
    const [, key = "", value = ""] = line.match(/^(\S+) = (.*)$/) ?? [];
    if (value === "[") list = key;
    if (table === "" && key === "name") found.name = textOf(line, "name");
    if (table === "" && key === "version") found.version = textOf(line, "version");
    if (!line.startsWith("    {")) continue;
    if (table === "" && list === "wheels") {
      const file = textOf(line, "url").split("/").at(-1) ?? "";
      found.wheels.push({ file, size: Number(line.match(/\bsize = (\d+)/)?.[1] ?? 0) });
    }
    if (table === "" && list === "dependencies") found.dependencies.push(parseDependency(line));
    if (table === "optional-dependencies") {
      found.optional.set(list, [...(found.optional.get(list) ?? []), parseDependency(line)]);
    }
  }
  return found;
}

/**
 * @param {string} line
 * @returns {Dependency}
 */
function parseDependency(line) {
  const version = textOf(line, "version");
  const [, extras = ""] = line.match(/\bextra = \[([^\]]*)\]/) ?? [];
  return {
    name: textOf(line, "name"),
    ...(version && { version }),
    extras: [...extras.matchAll(/"([^"]+)"/g)].map(([, name]) => String(name)),
    marker: textOf(line, "marker"),
  };
}

/**
 * @param {string} line
 * @param {string} key
 */
function textOf(line, key) {
  return line.match(new RegExp(`\\b${key} = "([^"]*)"`))?.[1] ?? "";
}

/**
 * @param {LockedPackage[]} packages
 * @param {Target} target
 * @param {string[]} extras of the engine itself
 * @returns {LockedPackage[]} the packages to install, without the engine itself
 */
function packagesFor(packages, target, extras) {
  /** @type {Set<LockedPackage>} */
  const found = new Set();
  /** @type {Dependency[]} */
  const wanted = [{ name: PROJECT, extras, marker: "" }];
  const seen = new Set();
  for (const { name, version, extras: asked, marker } of wanted) {
    const key = JSON.stringify([name, version, asked]);
    if (seen.has(key) || !holds(marker, target)) continue;
    seen.add(key);
    const one = packages.find((it) => it.name === name && (version ?? it.version) === it.version);
    if (!one) continue;
    found.add(one);
    wanted.push(...one.dependencies, ...asked.flatMap((extra) => one.optional.get(extra) ?? []));
  }
  return [...found].filter(({ name }) => name !== PROJECT);
}

/**
 * Evaluates an environment marker. The markers in the lock file have no parentheses.
 * @param {string} marker
 * @param {Target} target
 */
function holds(marker, { platform, machine, minor }) {
  if (marker === "") return true;
  /** @type {Record<string, string>} */
  const values = {
    sys_platform: platform,
    platform_machine: machine,
    platform_python_implementation: "CPython",
  };
  return marker.split(" or ").some((all) =>
    all.split(" and ").every((one) => {
      const [, name = "", operator = "", value = ""] = one.match(/^(\w+) (\S+) '(.*)'$/) ?? [];
      const order =
        name === "python_full_version"
          ? minor - Number(value.split(".")[1])
          : Number(values[name] !== value);
      return { "==": order === 0, "!=": order !== 0, "<": order < 0, ">=": order >= 0 }[operator];
    }),
  );
}

/**
 * @param {LockedPackage} one
 * @param {Target} target
 * @returns {Wheel | undefined} undefined if there's none for the target
 */
function wheelFor({ wheels }, target) {
  const fitting = wheels
    .map((wheel) => ({ wheel, rank: rankOf(wheel.file, target) }))
    .filter(({ rank }) => rank > 0)
    .sort((a, b) => b.rank - a.rank);
  return fitting[0]?.wheel;
}

/**
 * @param {string} file
 * @param {Target} target
 * @returns {number} 0 if the wheel doesn't fit; the better it fits, the higher
 */
function rankOf(file, { platform, machine, minor }) {
  const [python = "", abi = "", where = ""] = file
    .replace(/\.whl$/, "")
    .split("-")
    .slice(-3);
  const system = { linux: "manylinux", darwin: "macosx", win32: "win" }[platform] ?? "";
  const fits = where.startsWith(system) && where.includes(machine);
  const isUniversal = platform === "darwin" && where.endsWith("universal2");
  if (where !== "any" && !fits && !isUniversal) return 0;
  if (python === `cp3${minor}` && abi === python) return 3;
  if (abi.split(".").includes("abi3")) return Number(python.slice(3)) <= minor ? 2 : 0;
  const isPure = new RegExp(`\\bpy3(${minor})?\\b|^cp3${minor}$`).test(python);
  return abi === "none" && isPure ? 1 : 0;
}

/**
 * @param {LockedPackage[]} packages
 * @param {Omit<Target, "minor">} where
 * @param {string[]} extras
 * @returns {number[]} the minor versions of Python 3 for which every package has a wheel
 */
function pythonsFor(packages, where, extras) {
  const torch = packages.find(({ name }) => name === "torch");
  const tags = (torch?.wheels ?? []).map(({ file }) => Number(file.match(/-cp3(\d+)-/)?.[1]));
  return [...new Set(tags)]
    .filter((minor) => {
      const target = { ...where, minor };
      return packagesFor(packages, target, extras).every((one) => wheelFor(one, target));
    })
    .sort((a, b) => a - b);
}

module.exports = { CUDA_PACKAGES, packagesFor, pythonsFor, readLock, wheelFor };
