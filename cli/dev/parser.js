// Parses a job's event stream, as far as a summary needs it.

/**
 * @param {(data: Record<string, unknown>) => void} onData
 * @returns {(text: string) => void} takes the text of the stream in chunks, as it arrives
 */
function createParser(onData) {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split(/\r\n|\n|\r/);
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = parse(line.slice("data:".length));
      if (data) onData(data);
    }
  };
}

/**
 * @param {string} text
 * @returns {Record<string, unknown> | undefined}
 */
function parse(text) {
  try {
    const data = JSON.parse(text);
    return typeof data === "object" && data !== null ? data : undefined;
  } catch {
    // A bare NaN isn't valid JSON, and a summary doesn't need that line.
    return undefined;
  }
}

module.exports = { createParser };
