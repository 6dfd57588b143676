// The flags of a local backend that this command starts. Every command that may start one takes them all.

const path = require("node:path");
const { Option } = require("commander");
const { CliError } = require("../errors.js");

/**
 * @typedef {object} LocalFlags
 * @property {string} [baseModel]
 */

/** @type {{ name: keyof LocalFlags, flag: string, value: string, text: string, parse: (value: string) => string }[]} */
const LOCAL_FLAGS = [
  {
    name: "baseModel",
    flag: "--base-model",
    value: "<dir>",
    text: "a Hugging Face model directory to train on",
    // Read where the user is, which may be below the project.
    parse: (value) => path.resolve(value),
  },
];

/**
 * @param {import("commander").Command} command
 * @param {string} [condition] begins what the help says of each
 */
function addLocalFlags(command, condition = "") {
  for (const { flag, value, text, parse } of LOCAL_FLAGS) {
    command.addOption(new Option(`${flag} ${value}`, `${condition}${text}`).argParser(parse));
  }
  return command;
}

/**
 * The flags that were given.
 * @param {LocalFlags} options
 * @returns {{ flag: string, value: string }[]}
 */
function givenLocalFlags(options) {
  return LOCAL_FLAGS.flatMap(({ name, flag }) => {
    const value = options[name];
    return value === undefined ? [] : [{ flag, value }];
  });
}

/**
 * @param {LocalFlags} options
 * @returns {string[]} arguments of `arkor-local`
 */
function localArguments(options) {
  return givenLocalFlags(options).map(({ flag, value }) => `${flag}=${value}`);
}

/**
 * @param {LocalFlags & { local?: boolean | undefined }} options
 * @param {Record<string, unknown>} [more] other flags that are for a local backend, and their values
 * @throws {CliError} one was given without `--local`
 */
function requireLocal(options, more = {}) {
  if (options.local) return;
  const others = Object.entries(more).filter(([, value]) => value !== undefined);
  const [given] = [
    ...givenLocalFlags(options).map(({ flag }) => flag),
    ...others.map(([flag]) => flag),
  ];
  if (given !== undefined) throw new CliError(`${given} is for the local backend; add --local.`);
}

module.exports = { addLocalFlags, givenLocalFlags, localArguments, requireLocal };
