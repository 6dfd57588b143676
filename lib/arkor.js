// The project's manifest, which `src/arkor/index.ts` exports.
"use strict";

/**
 * @param {import("..").ArkorInput} input
 * @returns {import("..").Arkor}
 */
function createArkor(input) {
  return Object.freeze({ _kind: "arkor", trainer: input.trainer });
}

/**
 * @param {unknown} value
 * @returns {value is import("..").Arkor}
 */
function isArkor(value) {
  return typeof value === "object" && value !== null && Reflect.get(value, "_kind") === "arkor";
}

module.exports = { createArkor, isArkor };
