// Finds the tsconfig.json files between the entry and the root directory, and checks those above the project:
// they belong to somebody else, and must not break the project's build.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { ancestors, isFile, isWithin } = require("../files.js");

const NAMES = ["tsconfig.json", "jsconfig.json"];

/**
 * @typedef {object} Settings
 * @property {string | undefined} own the nearest one in the project
 * @property {string | undefined} broken one above the project that can't be read
 */

/**
 * @param {string} entry
 * @param {string} project the directory in which a special file is an error
 * @returns {Settings}
 * @throws {Error} if one of the project's own isn't a regular file
 */
function findSettings(entry, project) {
  const files = ancestors(path.dirname(entry)).flatMap((directory) =>
    NAMES.map((name) => path.join(directory, name))
      .filter(isThere)
      .slice(0, 1),
  );
  const own = files.filter((file) => isWithin(project, file));
  const special = own.find((file) => !isFile(file));
  if (special) throw new Error(`${special} is not a regular file`);
  const broken = files.slice(own.length).find((file) => !canBeRead(file));
  return { own: own[0], broken };
}

/**
 * Directories don't count: esbuild skips them.
 * @param {string} file
 */
function isThere(file) {
  try {
    return !fs.statSync(file).isDirectory();
  } catch {
    return false;
  }
}

/** @param {string} file */
function canBeRead(file) {
  try {
    fs.accessSync(file, fs.constants.R_OK);
    return isFile(file);
  } catch {
    return false;
  }
}

/**
 * Finds a tsconfig.json above the project that a failed build complains about.
 * @param {import("esbuild").Message[]} errors
 * @param {string} project
 * @returns {string | undefined}
 */
function brokenAbove(errors, project) {
  for (const { location, text } of errors) {
    const named = location?.file ?? text.match(/^Cannot read file "(.+)":/)?.[1];
    if (named === undefined || !named.endsWith(".json")) continue;
    const file = path.resolve(project, named);
    if (!isWithin(project, file)) return file;
  }
  return undefined;
}

module.exports = { brokenAbove, findSettings };
