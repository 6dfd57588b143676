// Writes THIRD-PARTY-NOTICES.md: the licences of the crates that are compiled into a binary, from the actual
// dependency graph of one crate for one target.
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { root } from "../steps.mjs";

const LICENCE_FILE = /^(licen[cs]e|copying|notice|unlicense)/i;

/**
 * @typedef {object} Crate
 * @property {string} id
 * @property {string} name
 * @property {string} version
 * @property {string | null} source absent for a crate of this workspace
 * @property {string | null} license an SPDX expression
 * @property {string[]} authors
 * @property {string | null} repository
 * @property {string} manifest_path
 */
/**
 * @typedef {object} Metadata
 * @property {Crate[]} packages
 * @property {{ nodes: { id: string, deps: { pkg: string, dep_kinds: { kind: string | null }[] }[] }[] }} resolve
 */

/**
 * @param {string} triple
 * @returns {Metadata}
 */
export function metadata(triple) {
  const args = ["metadata", "--format-version", "1", "--locked", "--filter-platform", triple];
  const { status, stdout, stderr } = spawnSync("cargo", args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`cargo metadata failed: ${(stderr ?? "").trim()}`);
  return JSON.parse(stdout);
}

/**
 * The third-party crates that end up in a crate's binary, without dev and build dependencies.
 * @param {Metadata} graph
 * @param {string} name
 * @returns {Crate[]} sorted by name
 */
export function linkedCrates(graph, name) {
  const crates = new Map(graph.packages.map((crate) => [crate.id, crate]));
  const nodes = new Map(graph.resolve.nodes.map((node) => [node.id, node]));
  const start = graph.packages.find((crate) => crate.name === name && crate.source === null);
  if (!start) throw new Error(`There is no crate ${name} in this workspace`);
  const seen = new Set([start.id]);
  for (const id of seen) {
    for (const { pkg, dep_kinds } of nodes.get(id)?.deps ?? []) {
      if (dep_kinds.some(({ kind }) => kind === null)) seen.add(pkg);
    }
  }
  return [...seen]
    .map((id) => /** @type {Crate} */ (crates.get(id)))
    .filter((crate) => crate.source !== null)
    .sort((a, b) => a.name.localeCompare(b.name) || a.version.localeCompare(b.version));
}

/** @param {Crate} crate */
function isUnderMit({ license }) {
  return (license ?? "").split(/ OR |\/| \/ /).some((choice) => choice.trim() === "MIT");
}

/** Crates without a licence file, and the crate of the same repository that has it. */
const SIBLINGS = new Map([["alloc-stdlib", "alloc-no-stdlib"]]);

/**
 * The licence texts that have to accompany a crate: its own files (only those for MIT, if MIT is one of
 * several licences to choose from), or the text of MIT if its author packed none.
 * @param {Crate} crate
 * @param {Crate[]} crates the crates that are linked into the same binary
 * @returns {string[]}
 */
function licenceTexts(crate, crates) {
  const directory = path.dirname(crate.manifest_path);
  const names = readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isFile() && LICENCE_FILE.test(entry.name))
    .map(({ name }) => name);
  const mit = isUnderMit(crate) ? names.filter((name) => /mit|^notice/i.test(name)) : [];
  const chosen = mit.length > 0 ? mit : names;
  if (chosen.length > 0) {
    return chosen.map((name) => readFileSync(path.join(directory, name), "utf8").trim());
  }
  const sibling = crates.find(({ name }) => name === SIBLINGS.get(crate.name));
  if (sibling) return licenceTexts(sibling, crates);
  if (!isUnderMit(crate)) {
    throw new Error(
      `${crate.name} ${crate.version} (${crate.license}) comes without its licence's text: add it to scripts/pack/notices.mjs by hand`,
    );
  }
  const holders = crate.authors.join(", ") || `the authors of ${crate.name}`;
  const terms = readFileSync(path.join(root, "LICENSE"), "utf8");
  return [terms.replace(/^Copyright .*$/m, `Copyright (c) ${holders}`).trim()];
}

/**
 * @param {string} binary the binary that the notices are for
 * @param {Crate[]} crates
 * @returns {string} Markdown
 */
export function notices(binary, crates) {
  /** @type {Map<string, { text: string, users: string[] }>} */
  const sections = new Map();
  for (const crate of crates) {
    const { name, version, license, repository } = crate;
    const user = `- ${name} ${version} (${license})${repository ? `, ${repository}` : ""}`;
    for (const text of licenceTexts(crate, crates)) {
      const same = text.split(/\s+/).join(" ");
      const section = sections.get(same) ?? { text, users: [] };
      section.users.push(user);
      sections.set(same, section);
    }
  }
  const parts = [...sections.values()].map(
    ({ text, users }) => `${users.join("\n")}\n\n~~~~text\n${text}\n~~~~\n`,
  );
  return `# Third-party notices\n\n${binary} contains these ${crates.length} Rust crates.\n\n${parts.join("\n")}`;
}
