// Stages everything that is published, in the published layout: `arkor`, `@arkor/local`, `create-arkor`, and
// two packages with a binary for each platform.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { root } from "../steps.mjs";
import { relinkPages } from "./links.mjs";
import { linkedCrates, metadata, notices } from "./notices.mjs";
import { localBinary, platforms, readManifest, TRIPLES, writeManifest } from "./platforms.mjs";

/**
 * @typedef {object} Binaries
 * @property {string} platform
 * @property {string} addon
 * @property {string} local
 */

/**
 * The platforms whose binaries were built on this machine.
 * @returns {Binaries[]}
 */
export function builtHere() {
  return platforms()
    .map((platform) => ({
      platform,
      addon: path.join(root, `arkor.${platform}.node`),
      local: path.join(root, "local/bin", localBinary(platform)),
    }))
    .filter(({ addon, local }) => existsSync(addon) && existsSync(local));
}

/**
 * The manifest to publish, derived from the one in the checkout. It omits what only a checkout needs, and
 * adds the platforms' packages, which a checkout can't depend on before they are published.
 * @param {Record<string, any>} manifest
 * @param {string} prefix the prefix of the platforms' package names
 * @param {string | undefined} repository
 * @returns {Record<string, any>}
 */
export function publishedManifest(manifest, prefix, repository) {
  const { scripts, devDependencies, napi, ...rest } = manifest;
  const names = platforms().map((platform) => [`${prefix}-${platform}`, manifest.version]);
  return { ...at(rest, repository), optionalDependencies: Object.fromEntries(names) };
}

/**
 * Sets the repository to the one that the workflow runs in, because npm's provenance requires that.
 * @param {Record<string, any>} manifest
 * @param {string | undefined} repository
 * @returns {Record<string, any>}
 */
function at(manifest, repository) {
  if (repository === undefined) return manifest;
  return { ...manifest, repository: { ...manifest.repository, type: "git", url: repository } };
}

/**
 * Stages one package.
 * @param {string} from
 * @param {string} to
 * @param {Record<string, any>} manifest
 */
function layOut(from, to, manifest) {
  mkdirSync(to, { recursive: true });
  for (const entry of manifest.files.flatMap((/** @type {string} */ one) => matches(from, one))) {
    const source = path.join(from, entry);
    if (existsSync(source)) cpSync(source, path.join(to, entry), { recursive: true });
  }
  cpSync(path.join(from, "README.md"), path.join(to, "README.md"));
  cpSync(path.join(root, "LICENSE"), path.join(to, "LICENSE"));
  writeManifest(path.join(to, "package.json"), manifest);
  relinkPages(from, to);
}

/**
 * @param {string} from
 * @param {string} entry of `files`: a path, or `DIRECTORY/*.EXTENSION`
 * @returns {string[]}
 */
function matches(from, entry) {
  const [, directory, extension] = entry.match(/^(\w[^*]*)\/\*(\.\w+)$/) ?? [];
  if (directory === undefined) return [entry];
  return readdirSync(path.join(from, directory))
    .filter((file) => path.extname(file) === extension)
    .map((file) => `${directory}/${file}`);
}

/**
 * Stages the packages of these platforms, the two packages that depend on them, and the one that creates
 * projects.
 * @param {string} out the output directory, which is emptied first
 * @param {Binaries[]} binaries
 * @param {string | undefined} repository
 * @returns {string[]} the directories, in the order in which they have to be published
 */
export function stage(out, binaries, repository) {
  rmSync(out, { recursive: true, force: true });
  const staged = [];
  for (const { platform, addon, local } of binaries) {
    const graph = metadata(TRIPLES[platform]);
    const [engine, backend] = [`arkor-${platform}`, `local-${platform}`];
    layOutBinary(path.join(root, "npm", platform), path.join(out, engine), {
      file: addon,
      mode: 0o644,
      notices: notices("The native engine of arkor", linkedCrates(graph, "arkor")),
      repository,
    });
    layOutBinary(path.join(root, "local/npm", platform), path.join(out, backend), {
      file: local,
      // A build artefact that was downloaded has lost this mode.
      mode: 0o755,
      notices: notices("arkor-local", linkedCrates(graph, "arkor-local")),
      repository,
    });
    staged.push(path.join(out, engine), path.join(out, backend));
  }
  for (const [from, name, prefix] of [
    [path.join(root, "local"), "local", "@arkor/local"],
    [root, "arkor", "@arkor/arkor"],
  ]) {
    const manifest = readManifest(path.join(from, "package.json"));
    const to = path.join(out, name);
    layOut(from, to, publishedManifest(manifest, prefix, repository));
    staged.push(to);
  }
  const creator = path.join(root, "create-arkor");
  const to = path.join(out, "create-arkor");
  layOut(creator, to, at(readManifest(path.join(creator, "package.json")), repository));
  return [...staged, to];
}

/**
 * @param {string} from
 * @param {string} to
 * @param {{ file: string, mode: number, notices: string, repository: string | undefined }} content
 */
function layOutBinary(from, to, { file, mode, notices: words, repository }) {
  const manifest = at(readManifest(path.join(from, "package.json")), repository);
  layOut(from, to, manifest);
  const target = path.join(to, manifest.files[0]);
  cpSync(file, target);
  chmodSync(target, mode);
  writeFileSync(path.join(to, "THIRD-PARTY-NOTICES.md"), words);
}
