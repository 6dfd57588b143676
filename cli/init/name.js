// Checks and derives names that npm accepts for a package.

const MAX_LENGTH = 214;
const NAME = /^(@[a-z0-9][a-z0-9._~-]*\/)?[a-z0-9][a-z0-9._~-]*$/;

/**
 * @param {string} name
 * @returns {string | undefined} an error message for an invalid name
 */
function nameError(name) {
  if (name.length > MAX_LENGTH) return `A name can have ${MAX_LENGTH} characters at most.`;
  return NAME.test(name)
    ? undefined
    : "A name consists of a-z, 0-9, dots, dashes and underscores, and starts with a letter or a digit.";
}

/**
 * @param {string} text a directory's name, or a valid name
 * @returns {string}
 */
function nameOf(text) {
  if (nameError(text) === undefined) return text;
  const dashed = text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  return dashed.replace(/^-+/, "").slice(0, 40).replace(/-+$/, "") || "project";
}

module.exports = { nameError, nameOf };
