// Parses and writes the JSON that is exchanged with the backend.
"use strict";

const { binding } = require("./addon.js");

/** @type {string | undefined} */
let nan;

/**
 * Parses JSON from the engine, in which a marker replaces each bare NaN that Python wrote (T9).
 * @param {string} text
 * @returns {any}
 */
function parse(text) {
  nan ??= binding.nanMarker();
  const whole = JSON.parse(text);
  if (!text.includes(nan)) return whole;
  // Don't use a reviver: it recurses, while `JSON.parse` itself can read any depth.
  const open = [whole];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const key of Object.keys(node)) {
      const value = node[key];
      // Define it instead of assigning it: a key may be `__proto__`.
      if (value === nan) Object.defineProperty(node, key, { value: Number.NaN });
      else if (typeof value === "object" && value !== null) open.push(value);
    }
  }
  return whole;
}

/**
 * Parses JSON that comes directly from the backend, not through the engine.
 * @param {string} text
 * @returns {any}
 * @throws {SyntaxError} if it isn't JSON
 */
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return parse(binding.strictJson(text));
  }
}

/**
 * JSON text for the backend. `JSON.stringify` would replace NaN with null, which means "use the default", so
 * the user would silently get another value.
 * @param {unknown} value
 * @param {string} call for the message
 * @returns {string}
 * @throws {TypeError} if JSON can't express a number; the message names the field
 */
function stringify(value, call) {
  return JSON.stringify(value, (key, field) => {
    const isLost = typeof field === "number" ? !Number.isFinite(field) : typeof field === "bigint";
    if (isLost) throw new TypeError(`${call}: \`${key}\` can't be sent: JSON has no ${field}`);
    return field;
  });
}

module.exports = { parse, read, stringify };
