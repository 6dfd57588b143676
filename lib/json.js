// JSON from the engine, as the backend sent it.
"use strict";

const { binding } = require("./addon.js");

/** @type {string | undefined} */
let nan;

/**
 * Parses JSON in which a marker stands where Python wrote a bare NaN (T9).
 * @param {string} text
 * @returns {any}
 */
function parse(text) {
  nan ??= binding.nanMarker();
  const whole = JSON.parse(text);
  if (!text.includes(nan)) return whole;
  // Not by a reviver, which recurses: `JSON.parse` itself reads any depth.
  const open = [whole];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const key of Object.keys(node)) {
      const value = node[key];
      // Defined, not assigned: a key may be `__proto__`.
      if (value === nan) Object.defineProperty(node, key, { value: Number.NaN });
      else if (typeof value === "object" && value !== null) open.push(value);
    }
  }
  return whole;
}

/**
 * Parses JSON that comes from the backend directly, not through the engine.
 * @param {string} text
 * @returns {any}
 * @throws {SyntaxError} it isn't JSON
 */
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return parse(binding.strictJson(text));
  }
}

/**
 * JSON text for the backend. `JSON.stringify` sends null in place of NaN, which reads as "use the
 * default": the user would silently get something else.
 * @param {unknown} value
 * @param {string} call for the message
 * @returns {string}
 * @throws {TypeError} JSON has no such number; the message names the field
 */
function stringify(value, call) {
  return JSON.stringify(value, (key, field) => {
    const isLost = typeof field === "number" ? !Number.isFinite(field) : typeof field === "bigint";
    if (isLost) throw new TypeError(`${call}: \`${key}\` can't be sent: JSON has no ${field}`);
    return field;
  });
}

module.exports = { parse, read, stringify };
