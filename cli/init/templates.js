// The templates of `arkor init`; their files are in `cli/templates`.

const path = require("node:path");

/** @typedef {"triage" | "translate" | "redaction"} TemplateName */

/** @type {[Template, ...Template[]]} */
const TEMPLATES = [
  { value: "triage", label: "Triage", hint: "route support tickets to the right team" },
  { value: "translate", label: "Translate", hint: "English to German" },
  { value: "redaction", label: "Redaction", hint: "remove names, addresses and numbers from text" },
];

/** @typedef {{ value: TemplateName, label: string, hint: string }} Template the first is the default */

/**
 * @param {TemplateName} name
 * @returns {string[]} the directories that its files come from
 */
function directoriesOf(name) {
  return ["common", name].map((part) => path.join(__dirname, "../templates", part));
}

module.exports = { TEMPLATES, directoriesOf };
