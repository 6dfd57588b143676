// What `arkor init` can begin with; the files are in `cli/templates`.

const path = require("node:path");

/** @typedef {"triage" | "translate" | "redaction"} TemplateName */

/** @type {[Template, ...Template[]]} */
const TEMPLATES = [
  { value: "triage", label: "Triage", hint: "support tickets to the team that answers them" },
  { value: "translate", label: "Translate", hint: "English to German" },
  { value: "redaction", label: "Redaction", hint: "texts without names, addresses and numbers" },
];

/** @typedef {{ value: TemplateName, label: string, hint: string }} Template the first is the default */

/**
 * @param {TemplateName} name
 * @returns {string[]} the directories whose files make the project
 */
function directoriesOf(name) {
  return ["common", name].map((part) => path.join(__dirname, "../templates", part));
}

module.exports = { TEMPLATES, directoriesOf };
