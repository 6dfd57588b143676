// The templates of `arkor init`; their files are in `cli/templates`.

const fs = require("node:fs");
const path = require("node:path");

/** @typedef {"triage" | "translate" | "redaction"} TemplateName */

/** @type {[Template, ...Template[]]} */
const TEMPLATES = [
  { value: "triage", label: "Triage", hint: "route support tickets to the right team" },
  { value: "translate", label: "Translate", hint: "appointments, English to German" },
  { value: "redaction", label: "Redaction", hint: "remove names, addresses and numbers from text" },
];

/** @typedef {{ value: TemplateName, label: string, hint: string }} Template the first one is the default */

const DIRECTORY = path.join(__dirname, "../templates");

/**
 * @param {TemplateName} template
 * @param {string} name of the project
 * @returns {Record<string, Buffer | string>} contents by path, with `/`, in a fixed order
 */
function filesOf(template, name) {
  const files = ["common", template].flatMap((part) => {
    const directory = path.join(DIRECTORY, part);
    return filesIn(directory).map((file) => [file, contentOf(directory, file, template, name)]);
  });
  return Object.fromEntries(files);
}

/** @typedef {{ template: TemplateName, file: string }} Present a template, and the file by which it was recognised */

/**
 * @param {string} cwd
 * @returns {Present | undefined} the template that the project was created from
 */
function templateIn(cwd) {
  const own = TEMPLATES.map(({ value }) => ({
    value,
    files: filesIn(path.join(DIRECTORY, value)),
  }));
  for (const { value: template, files } of own) {
    const others = own.filter(({ value }) => value !== template).flatMap(({ files }) => files);
    const file = files.find(
      (one) =>
        fs.existsSync(path.join(cwd, one)) &&
        (!others.includes(one) || isSame(path.join(cwd, one), path.join(DIRECTORY, template, one))),
    );
    if (file !== undefined) return { template, file };
  }
  return undefined;
}

/**
 * @param {string} file
 * @param {string} other
 */
function isSame(file, other) {
  const isFile = fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
  return isFile && fs.readFileSync(file).equals(fs.readFileSync(other));
}

/**
 * Reads one directory at a time. Inside a zip, where `yarn create` runs this, Node's own recursive listing
 * returns wrong parent directories.
 * @param {string} directory
 * @returns {string[]} relative, with `/`, in a fixed order
 */
function filesIn(directory) {
  const entries = fs.readdirSync(directory, { withFileTypes: true });
  return entries
    .flatMap((entry) =>
      entry.isDirectory()
        ? filesIn(path.join(directory, entry.name)).map((file) => `${entry.name}/${file}`)
        : [entry.name],
    )
    .sort();
}

/**
 * @param {string} directory
 * @param {string} file
 * @param {string} template
 * @param {string} name
 */
function contentOf(directory, file, template, name) {
  const content = fs.readFileSync(path.join(directory, file));
  if (file !== "arkor.config.ts") return content;
  // The template has its own name in this file, so that it's valid TypeScript.
  return content.toString().replace(`name: "${template}"`, () => `name: ${JSON.stringify(name)}`);
}

module.exports = { TEMPLATES, filesOf, templateIn };
