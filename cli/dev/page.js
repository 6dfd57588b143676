// The built page. Its files contain no secret, so anyone on this machine may read them.

const fs = require("node:fs");
const path = require("node:path");
const { gzipSync } = require("node:zlib");
const { CliError } = require("../errors.js");

const DIRECTORY = path.join(__dirname, "page");

/** @type {Record<string, string>} */
const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** @typedef {{ type: string, plain: Buffer, gzipped: Buffer, isHashed: boolean }} PageFile */

/**
 * Reads all files of the page at once, so that an upgrade of the package can't mix two versions.
 * @returns {Map<string, PageFile>} by the path in the URL
 * @throws {CliError} if the page isn't built
 */
function readPage(directory = DIRECTORY) {
  if (!fs.existsSync(path.join(directory, "index.html"))) {
    throw new CliError("Studio's page is not built. In a checkout of arkor, run: npm run build");
  }
  /** @type {Map<string, PageFile>} */
  const files = new Map();
  for (const name of fs.readdirSync(directory, { recursive: true, encoding: "utf8" })) {
    const type = TYPES[path.extname(name)];
    if (!type) continue;
    const plain = fs.readFileSync(path.join(directory, name));
    const at = `/${name.split(path.sep).join("/")}`;
    const isHashed = at.startsWith("/assets/");
    files.set(at, { type, plain, gzipped: gzipSync(plain, { level: 9 }), isHashed });
  }
  const index = files.get("/index.html");
  if (index) files.set("/", index);
  return files;
}

/**
 * @param {Map<string, PageFile>} files
 * @returns {import("hono").Handler}
 */
function servePage(files) {
  return (context) => {
    const file = files.get(context.req.path);
    if (!file) return context.json({ error: `Not found: ${context.req.path}` }, 404);
    const zips = /\bgzip\b/.test(context.req.header("accept-encoding") ?? "");
    const body = new Uint8Array(zips ? file.gzipped : file.plain);
    return context.body(body, 200, {
      "content-type": file.type,
      "cache-control": file.isHashed ? "public, max-age=31536000, immutable" : "no-cache",
      vary: "Accept-Encoding",
      ...(zips && { "content-encoding": "gzip" }),
    });
  };
}

module.exports = { readPage, servePage };
