// Plans an installation of the torch engine: its packages, its size, and the uv commands to run.

const { formatSize } = require("../format.js");
const { BUILD_NAMES, backendOf } = require("./build.js");
const { pythonOf } = require("./environments.js");
const { CUDA_PACKAGES, packagesFor, wheelFor } = require("./lock.js");

/** The download size of torch from PyTorch's own index; the lock file has no size for it. */
const CPU_TORCH = 0.2e9;
const CUDA_TORCH = 2.9e9;
/** The factor from the size of a wheel to the package's size on disk. CUDA's libraries compress least. */
const CUDA_GROWTH = 1.8;
const GROWTH = 3;

/**
 * @typedef {object} Plan
 * @property {string} place where the environment is created
 * @property {string} worker the torch engine's folder
 * @property {string[]} extras
 * @property {import("./build.js").Build} build of PyTorch
 * @property {string | undefined} backend uv's name for PyTorch's index; undefined for PyPI's build
 * @property {string} torch its version
 * @property {string[]} packages the well-known ones, with their versions
 * @property {string[]} foreign the packages of the lock file that come from PyTorch's index instead, or that
 *   its build of torch doesn't need
 * @property {number} download in bytes
 * @property {number} disk in bytes
 * @property {string | undefined} instead an alternative build from PyPI, with its flag
 */

/** The packages to mention, because users know them. */
const KNOWN = ["torch", "transformers", "trl", "peft", "ray"];

/**
 * @typedef {object} PlanOptions
 * @property {string} place
 * @property {string} worker
 * @property {import("./lock.js").LockedPackage[]} packages
 * @property {import("./build.js").Machine} machine
 * @property {number} minor of Python 3
 * @property {string[]} extras
 * @property {string[] | undefined} installed the extras that are already installed
 * @property {import("./build.js").Build} build
 */

/**
 * @param {PlanOptions} options
 * @returns {Plan}
 */
function planOf(options) {
  const { place, worker, packages, machine, minor, extras, build } = options;
  const all = packagesFor(packages, { ...machine, minor }, extras);
  const backend = backendOf(machine, build);
  const versions = new Map(all.map(({ name, version }) => [name, version]));
  return {
    place,
    worker,
    extras,
    build,
    backend,
    torch: versions.get("torch") ?? "",
    packages: KNOWN.flatMap((name) =>
      versions.has(name) ? [`${name} ${versions.get(name)}`] : [],
    ),
    foreign: backend === undefined ? [] : all.map(({ name }) => name).filter(isOfCuda),
    ...sizesOf(all, backend, options),
    instead: backend === undefined ? undefined : instead(options),
  };
}

/** @param {string} name */
function isOfCuda(name) {
  return CUDA_PACKAGES.test(name);
}

/**
 * @param {import("./lock.js").LockedPackage[]} all
 * @param {string | undefined} backend
 * @param {PlanOptions} options
 */
function sizesOf(all, backend, { packages, machine, minor, installed, build }) {
  const target = { ...machine, minor };
  const there = new Set(installed ? packagesFor(packages, target, installed) : []);
  let [download, disk] = [0, 0];
  const add = (/** @type {number} */ bytes, /** @type {boolean} */ isCuda) => {
    download += bytes;
    disk += bytes * (isCuda ? CUDA_GROWTH : GROWTH);
  };
  for (const one of all) {
    const isCuda = isOfCuda(one.name);
    if (there.has(one) || (isCuda && backend !== undefined)) continue;
    add(wheelFor(one, target)?.size ?? 0, isCuda && build === "cuda");
  }
  if (backend !== undefined && !installed) {
    add(build === "cpu" ? CPU_TORCH : CUDA_TORCH, build === "cuda");
  }
  return { download, disk };
}

/** @param {PlanOptions} options */
function instead(options) {
  const build = options.build === "cpu" ? "cuda" : "cpu";
  const { download, disk } = planOf({ ...options, build });
  return (
    `PyPI's ${BUILD_NAMES[build]} build${build === "cuda" ? ", which also runs on the CPU" : ""}: ` +
    `arkor engine install torch --${build} (about ${formatSize(download)} to download, ${formatSize(disk)} on disk)`
  );
}

/**
 * @param {Plan} plan
 * @param {number} free free bytes on the disk that it's installed to
 * @returns {string[]}
 */
function introduction({ place, build, packages, download, disk }, free) {
  return [
    `The torch engine: ${packages.join(", ")}; PyTorch's ${BUILD_NAMES[build]} build`,
    `In: ${place}`,
    `About ${formatSize(download)} to download and ${formatSize(disk)} on disk; ${formatSize(free)} are free.`,
  ];
}

/** @typedef {{ says: string, args: string[], index?: string }} Step `index`: the index that it needs besides PyPI */

/**
 * The uv commands, in order. The download that's most likely to be unreachable comes first.
 * @param {Plan} plan
 * @param {string} python the Python of the environment: a file, or a range of versions
 * @param {boolean} isNew whether there's no environment yet
 * @returns {Step[]}
 */
function stepsOf({ place, worker, extras, backend, torch, foreign }, python, isNew) {
  const inside = ["--python", pythonOf(place)];
  /** @type {Step[]} */
  const steps = [];
  if (isNew)
    steps.push({ says: "Making the environment.", args: ["venv", "--python", python, place] });
  if (isNew && backend !== undefined) {
    steps.push({
      says: "Installing torch from PyTorch's index.",
      index: "download.pytorch.org",
      // Without its dependencies, because the lock file pins those.
      args: [
        "pip",
        "install",
        ...inside,
        "--no-deps",
        `--torch-backend=${backend}`,
        `torch==${torch}`,
      ],
    });
  }
  const rest = [
    ...extras.flatMap((name) => ["--extra", name]),
    ...foreign.flatMap((name) => ["--no-install-package", name]),
  ];
  steps.push({
    says: "Installing the packages of the lock file.",
    // `--inexact` keeps the torch that isn't from the lock file.
    args: ["sync", "--frozen", "--no-dev", "--inexact", "--project", worker, ...inside, ...rest],
  });
  return steps;
}

module.exports = { introduction, planOf, stepsOf };
