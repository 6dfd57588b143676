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

module.exports = { parse };
