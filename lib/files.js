// File and directory helpers for the command and `runTrainer`.
"use strict";

const { randomBytes } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

/**
 * @param {string} file
 * @returns {boolean} false for a directory, and for a pipe, because reading it may block
 */
function isFile(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

/**
 * @param {string} directory
 * @returns {string[]} the directory and all its ancestors, nearest first
 */
function ancestors(directory) {
  const above = path.dirname(directory);
  return above === directory ? [directory] : [directory, ...ancestors(above)];
}

/**
 * @param {string} directory
 * @param {string} file
 */
function isWithin(directory, file) {
  const relative = path.relative(directory, file);
  return relative.split(path.sep)[0] !== ".." && !path.isAbsolute(relative);
}

/**
 * Readers see either the old or the new content, never a part of it.
 * @param {string} file
 * @param {string | Uint8Array} content
 * @param {number} [mode] the permissions, else the default ones
 */
function writeAtomically(file, content, mode) {
  const temporary = `${file}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    fs.writeFileSync(temporary, content, { flag: "wx", ...(mode !== undefined && { mode }) });
    // Restores permission bits that the umask removed.
    if (mode !== undefined) fs.chmodSync(temporary, mode);
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
}

module.exports = { ancestors, isFile, isWithin, writeAtomically };
