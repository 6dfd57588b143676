// `.arkor/prompts.json`: the project's prompts, which are sent to each checkpoint.

const fs = require("node:fs");
const path = require("node:path");
const { Refusal } = require("./backend.js");

const MOST = 50;
const LONGEST = 20_000;

/** @param {string} cwd */
function readPrompts(cwd) {
  try {
    const { prompts } = JSON.parse(fs.readFileSync(fileIn(cwd), "utf8"));
    return Array.isArray(prompts) ? prompts.filter((prompt) => typeof prompt === "string") : [];
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === "ENOENT") return [];
    throw new Refusal(409, `.arkor/prompts.json can't be read: ${String(error)}`);
  }
}

/**
 * @param {string} cwd
 * @param {unknown} prompts
 */
function writePrompts(cwd, prompts) {
  const isList =
    Array.isArray(prompts) &&
    prompts.length <= MOST &&
    prompts.every((prompt) => typeof prompt === "string" && prompt.length <= LONGEST);
  if (!isList) throw new Refusal(400, `prompts must be a list of at most ${MOST} texts.`);
  const file = fileIn(cwd);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  fs.writeFileSync(temporary, `${JSON.stringify({ prompts }, null, 2)}\n`);
  fs.renameSync(temporary, file);
}

/** @param {string} cwd */
function fileIn(cwd) {
  return path.join(cwd, ".arkor/prompts.json");
}

module.exports = { readPrompts, writePrompts };
