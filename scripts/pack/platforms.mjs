// The platforms in npm/, and the manifests derived from them. `npm run platforms` writes them: npm/<platform>
// with the napi CLI, and local/npm/<platform> on the same model.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { root, step } from "../steps.mjs";

/** @typedef {Record<string, any>} Manifest */

/**
 * @param {string} file
 * @returns {Manifest}
 */
export function readManifest(file) {
  return JSON.parse(readFileSync(file, "utf8"));
}

/** @returns {string[]} the names of the directories in npm/ */
export function platforms() {
  return readdirSync(path.join(root, "npm")).sort();
}

/** Each platform's Rust target, from the targets in package.json. */
export const TRIPLES = Object.fromEntries(
  /** @type {string[]} */ (readManifest(path.join(root, "package.json")).napi.targets).map(
    (triple) => [platformOf(triple), triple],
  ),
);

/**
 * @param {string} triple
 * @returns {string} napi's name for the platform
 */
export function platformOf(triple) {
  const [cpu, , system, abi] = triple.split("-");
  const arch = { x86_64: "x64", aarch64: "arm64" }[cpu];
  const platform = { linux: "linux", darwin: "darwin", windows: "win32" }[system];
  if (!arch || !platform) throw new Error(`${triple} is none of the targets that are known here`);
  return [platform, arch, abi].filter(Boolean).join("-");
}

/**
 * @param {string} platform
 * @returns {string} the local backend's file name on that platform
 */
export function localBinary(platform) {
  return platform.startsWith("win32") ? "arkor-local.exe" : "arkor-local";
}

/**
 * The manifest of the local backend's package for a platform: that of the addon's package, but with a program
 * in place of the addon.
 * @param {Manifest} addon
 * @param {string} platform
 * @returns {Manifest}
 */
export function localManifest(addon, platform) {
  const local = readManifest(path.join(root, "local/package.json"));
  const { name, main, files, description, keywords, ...rest } = addon;
  return {
    name: `${local.name}-${platform}`,
    ...rest,
    version: local.version,
    description: local.description,
    keywords: local.keywords,
    files: [localBinary(platform), "LICENSE", "THIRD-PARTY-NOTICES.md"],
    preferUnplugged: true,
  };
}

/**
 * The addon's manifest, with the files that the licences require.
 * @param {Manifest} addon the manifest that the napi CLI writes
 * @returns {Manifest}
 */
export function addonManifest(addon) {
  return { ...addon, files: [addon.main, "LICENSE", "THIRD-PARTY-NOTICES.md"] };
}

/**
 * @param {string} file
 * @param {Manifest} manifest
 */
export function writeManifest(file, manifest) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
}

/**
 * Writes npm/ and local/npm/ again.
 * @param {string} checkout the directory that contains them, and the package.json that they're derived from
 */
export function writePlatforms(checkout) {
  const napi = path.join(root, "node_modules/@napi-rs/cli/dist/cli.js");
  step(process.execPath, [napi, "create-npm-dirs", "--cwd", checkout]);
  for (const platform of Object.keys(TRIPLES)) {
    const engine = path.join(checkout, "npm", platform);
    const addon = readManifest(path.join(engine, "package.json"));
    writeManifest(path.join(engine, "package.json"), addonManifest(addon));
    writeReadme(engine, platform, "arkor", "native engine");
    const backend = path.join(checkout, "local/npm", platform);
    writeManifest(path.join(backend, "package.json"), localManifest(addon, platform));
    writeReadme(backend, platform, "@arkor/local", "local backend, `arkor-local`,");
  }
}

/**
 * @param {string} directory
 * @param {string} platform
 * @param {string} parent the package that depends on this one
 * @param {string} what
 */
function writeReadme(directory, platform, parent, what) {
  const { name } = readManifest(path.join(directory, "package.json"));
  const text = `# \`${name}\`\n\nThe ${what} of \`${parent}\` for ${TRIPLES[platform]}. Install \`${parent}\`: npm then takes the package of your platform.\n`;
  writeFileSync(path.join(directory, "README.md"), text);
}
