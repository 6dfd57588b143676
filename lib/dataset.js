// Resolves the dataset of a submission. Only the local backend accepts a file on this machine.
"use strict";

const { statSync } = require("node:fs");
const path = require("node:path");
const { fileURLToPath, pathToFileURL } = require("node:url");

/**
 * @param {unknown} dataset the user's value
 * @param {object} place
 * @param {string} place.directory the project's directory, which paths are relative to
 * @param {boolean} place.isLocal whether the backend runs on this machine
 * @returns {unknown} the value for the backend
 * @throws {Error} if it's a file that the backend can't read
 */
function resolveDataset(dataset, { directory, isLocal }) {
  const { type, path: given, ...rest } = /** @type {Record<string, unknown>} */ (dataset ?? {});
  if (type === "file" && (typeof given !== "string" || given === "")) {
    throw new TypeError("createTrainer: `dataset.path` must be the path of a file");
  }
  const file = type === "file" ? path.resolve(directory, String(given)) : fileOf(rest.url);
  if (file === undefined) return dataset;
  if (!isLocal) {
    throw new Error(
      `dataset: ${file} is a file of this machine, which the cloud can't read. Train here with ` +
        "`arkor start --local`, or give a URL that the backend can reach.",
    );
  }
  // Reading a FIFO blocks until something writes to it. A missing file isn't checked here: the backend
  // refuses it like any other invalid value.
  const isSpecial = statSync(file, { throwIfNoEntry: false })?.isFile() === false;
  if (isSpecial) throw new Error(`dataset: ${file} is not a regular file`);
  return type === "file" ? { ...rest, type: "blob", url: pathToFileURL(file).href } : dataset;
}

/**
 * @param {unknown} url
 * @returns {string | undefined} the file that a `file:` URL names
 */
function fileOf(url) {
  if (!/^\s*file:/i.test(String(url))) return undefined;
  try {
    return fileURLToPath(String(url).trim());
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new TypeError(`createTrainer: \`dataset.url\` names no file: ${reason}`);
  }
}

module.exports = { resolveDataset };
