// A registry on 127.0.0.1 for the packages that were packed on this machine. It tests `npm install arkor` as
// users will run it, with npm choosing the platform's package. Other packages come from a node_modules
// directory, so that an installation needs no network, or from another registry.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { root } from "../steps.mjs";

/** @typedef {{ manifest: Record<string, any>, tarball: () => Buffer }} Entry */

/** Yarn and pnpm refuse a version that is new or has no date. */
const PUBLISHED = "2026-01-01T00:00:00.000Z";

/**
 * @param {string} dist the output directory of `npm run pack`
 * @returns {Map<string, Entry>}
 */
function packed(dist) {
  const entries = new Map();
  for (const directory of readdirSync(path.join(dist, "packages"))) {
    const manifest = JSON.parse(
      readFileSync(path.join(dist, "packages", directory, "package.json"), "utf8"),
    );
    const file = `${manifest.name.replace("@", "").replace("/", "-")}-${manifest.version}.tgz`;
    const tarball = () => readFileSync(path.join(dist, "tarballs", file));
    entries.set(manifest.name, { manifest, tarball });
  }
  // Yarn and Bun also look up the platforms' packages that weren't built on this machine.
  for (const parent of ["npm", "local/npm"]) {
    for (const platform of readdirSync(path.join(root, parent))) {
      const entry = packageIn(path.join(root, parent, platform));
      if (!entries.has(entry.manifest.name)) entries.set(entry.manifest.name, entry);
    }
  }
  return entries;
}

/**
 * @param {string} directory
 * @returns {Entry}
 */
function packageIn(directory) {
  const manifest = JSON.parse(readFileSync(path.join(directory, "package.json"), "utf8"));
  /** @type {Buffer | undefined} */
  let bytes;
  const tarball = () => {
    const args = ["-czf", "-", "-C", path.dirname(directory), path.basename(directory)];
    bytes ??= spawnSync("tar", args, { maxBuffer: 256 * 1024 * 1024 }).stdout;
    return bytes;
  };
  return { manifest, tarball };
}

/**
 * @param {string} name
 * @param {string} modules
 * @returns {Entry | undefined}
 */
function installedPackage(name, modules) {
  const directory = path.join(modules, name);
  return existsSync(path.join(directory, "package.json")) ? packageIn(directory) : undefined;
}

/**
 * @param {string} dist the output directory of `npm run pack`
 * @param {object} rest the source of all other packages
 * @param {string} [rest.installed] a node_modules directory
 * @param {string} [rest.upstream] a registry's URL
 * @returns {Promise<{ url: string, fetched: string[], close: () => void }>} `fetched`: the packages whose tarballs
 *   were fetched
 */
export async function startRegistry(dist, { installed, upstream }) {
  const entries = packed(dist);
  /** @type {string[]} */
  const fetched = [];
  const server = createServer((request, response) => {
    const target = decodeURIComponent(request.url ?? "/").slice(1);
    const [name, isTarball] = target.endsWith("/-/tarball")
      ? [target.slice(0, -"/-/tarball".length), true]
      : [target, false];
    const entry = entries.get(name) ?? (installed && installedPackage(name, installed));
    if (!entry && upstream && !name.startsWith("@arkor/")) {
      response.writeHead(302, { location: new URL(request.url ?? "/", upstream).href }).end();
      return;
    }
    if (!entry) {
      response.writeHead(404, { "content-type": "application/json" }).end('{"error":"not found"}');
      return;
    }
    entries.set(name, entry);
    const bytes = entry.tarball();
    if (isTarball) {
      fetched.push(name);
      response.writeHead(200, { "content-type": "application/octet-stream" }).end(bytes);
      return;
    }
    const { version } = entry.manifest;
    const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
    const dist = { tarball: `${url}/${name}/-/tarball`, integrity };
    const packument = {
      name,
      "dist-tags": { latest: version },
      versions: { [version]: { ...entry.manifest, dist } },
      time: { [version]: PUBLISHED },
    };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(packument));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  return { url, fetched, close: () => server.close() };
}
