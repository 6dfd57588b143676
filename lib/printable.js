// Makes text from elsewhere safe for a terminal. A backend's message, a job's name or another process's
// output must not move the cursor, set the window's title, or reorder the text around it.
"use strict";

/**
 * Control characters (C0, DEL, C1), lone surrogates, and characters that are invisible or change the
 * direction of the text around them. The joiners U+200C and U+200D are allowed: emoji and several scripts
 * need them.
 */
const UNSAFE =
  /[\p{Cc}\p{Cs}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;
const LINE_BREAKS = /[\n\v\f\r\u0085\u2028\u2029]+/;
const REPLACEMENT = "\ufffd";

/**
 * Joins the lines of a text with spaces. Replaces every unsafe character, so that a reader sees that
 * something was there.
 * @param {string} text
 * @returns {string}
 */
function oneLine(text) {
  const [first = "", ...rest] = text.split(LINE_BREAKS);
  const lines = rest.length === 0 ? [first] : [first.trimEnd(), ...rest.map((line) => line.trim())];
  return lines
    .filter((line) => line !== "")
    .join(" ")
    .replaceAll("\t", " ")
    .replace(UNSAFE, REPLACEMENT);
}

/**
 * Like `oneLine`, but keeps the lines of text that has several, such as a stack trace.
 * @param {string} text
 * @returns {string}
 */
function manyLines(text) {
  return text.split(/\r?\n/).map(oneLine).join("\n");
}

/**
 * Like `oneLine`, but for preformatted text, such as a model's response or a part of it: keeps spaces, tabs
 * and lines.
 * @param {string} text
 * @returns {string}
 */
function asItStands(text) {
  return text
    .replace(/\r\n?/g, "\n")
    .replace(UNSAFE, (character) =>
      character === "\n" || character === "\t" ? character : REPLACEMENT,
    );
}

/**
 * JSON with every unsafe character escaped, so that it parses to the same value.
 * @param {unknown} value
 * @returns {string}
 */
function printableJson(value) {
  const escaped = (/** @type {string} */ character) =>
    character === "\n" ? "\n" : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value, null, 2).replace(UNSAFE, escaped);
}

module.exports = { asItStands, manyLines, oneLine, printableJson };
