// The two files of a template, as text.

/** @typedef {{ question: string, answer: string }} Row */
/** @typedef {{ train: string, heldOut: string }} Data */

/**
 * @param {readonly Row[]} rows
 * @returns {string} JSON Lines, one conversation per line
 */
export function toJsonLines(rows) {
  const lines = rows.map(({ question, answer }) =>
    JSON.stringify({
      messages: [
        { role: "user", content: question },
        { role: "assistant", content: answer },
      ],
    }),
  );
  return `${lines.join("\n")}\n`;
}
