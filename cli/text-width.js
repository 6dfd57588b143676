// Computes how many columns a text takes on a terminal. It's implemented here because the maintained
// libraries are ES modules, which `require` can't load on Node 20.17.

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
const EMOJI = /\p{Emoji_Presentation}|\p{Emoji}\ufe0f/u;
/** Marks that combine with the character before them, joiners, and Hangul vowels and finals. */
const ZERO = /[\p{Mn}\p{Me}\u1160-\u11ff\u200b-\u200f\u2060-\u2064\ufeff]/u;
/** East Asian Wide and Fullwidth (Unicode Standard Annex 11), by blocks. */
const WIDE =
  /[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3040-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1aff0}-\u{1b2ff}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]/u;

/** @type {Intl.Segmenter | undefined} */
let segmenter;

/** @param {string} text */
function charactersOf(text) {
  segmenter ??= new Intl.Segmenter();
  return Array.from(segmenter.segment(text), ({ segment }) => segment);
}

/** @param {string} character one character as a reader sees it, of any number of code points */
function widthOfCharacter(character) {
  if (EMOJI.test(character)) return 2;
  let width = 0;
  for (const point of character) if (!ZERO.test(point)) width += WIDE.test(point) ? 2 : 1;
  return width;
}

/**
 * @param {string} text without control characters
 * @returns {number} columns
 */
function widthOf(text) {
  if (PRINTABLE_ASCII.test(text)) return text.length;
  return charactersOf(text).reduce((sum, character) => sum + widthOfCharacter(character), 0);
}

/**
 * @param {string} text
 * @param {number} width columns, at least 1
 * @returns {string} text of at most that width, with an ellipsis if it was cut
 */
function cut(text, width) {
  if (widthOf(text) <= width) return text;
  let kept = "";
  let taken = 1; // The ellipsis.
  for (const character of charactersOf(text)) {
    taken += widthOfCharacter(character);
    if (taken > width) break;
    kept += character;
  }
  return `${kept}…`;
}

module.exports = { cut, widthOf };
