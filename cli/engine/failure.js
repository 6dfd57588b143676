// Explains why an installation failed and what to do, from the output of uv or pip.

const { CliError } = require("../errors.js");
const { formatSize } = require("../format.js");

const FULL = /No space left on device|os error 28|os error 112|Errno 28/;
const UNREACHABLE =
  /Failed to fetch|error sending request|Request failed|Failed to download|NewConnectionError|dns error|Could not find a version that satisfies the requirement uv/;
const CAUSE = /^(cause|caused by): /i;

/**
 * @param {import("./process.js").Ended} ended
 * @param {object} about
 * @param {string} about.what the step that failed
 * @param {string} about.place
 * @param {number} about.disk the space needed there, in bytes
 * @param {string} [about.index] an index besides PyPI that was needed
 * @param {string} [about.instead] a build that doesn't need that index
 * @returns {CliError}
 */
function failureOf({ how, lines, stdout }, { what, place, disk, index, instead }) {
  const text = [...lines, stdout].join("\n");
  if (FULL.test(text)) {
    return new CliError(
      `The disk is full. The torch engine needs about ${formatSize(disk)} in ${place}. Free some space, then run the command again.`,
    );
  }
  const reason = reasonIn(lines);
  if (/python-build-standalone/.test(text)) {
    return new CliError(
      `No Python that fits was found, and uv can't download one (${reason}). Install Python 3.11 or later from https://www.python.org/downloads/, then run the command again.`,
    );
  }
  if (UNREACHABLE.test(text)) {
    const check =
      "Check the network, and HTTPS_PROXY if this machine needs a proxy, then run the command again.";
    return new CliError(
      index === undefined
        ? `The package index can't be reached (${reason}). ${check} What was downloaded is kept.`
        : `PyTorch's package index, ${index}, can't be reached (${reason}), and only that has this build. ${check} ` +
            `Or install ${instead}`,
    );
  }
  if (/ensurepip/.test(text)) {
    return new CliError(
      "This Python can't make environments: it has no ensurepip. On Debian and Ubuntu: apt install python3-venv. Then run the command again.",
    );
  }
  return new CliError(
    `The torch engine couldn't be installed: ${what} ${how}${reason && `: ${reason}`}`,
  );
}

/**
 * @param {string[]} lines
 * @returns {string} the error and its innermost cause, or else the last line
 */
function reasonIn(lines) {
  const trimmed = lines.map((line) => line.trim()).filter((line) => line !== "");
  const error = trimmed.find((line) => /^error: /i.test(line))?.replace(/^error: /i, "");
  const causes = trimmed.filter((line) => CAUSE.test(line));
  const cause = causes.at(-1)?.replace(CAUSE, "");
  if (error === undefined) return trimmed.at(-1) ?? "";
  return cause === undefined ? error : `${error}: ${cause}`;
}

module.exports = { failureOf };
