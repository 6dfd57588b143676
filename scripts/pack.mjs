// `npm run pack -- [--out DIR] [--binaries DIR] [--all]`: the tarballs that are published, in DIR
// (default: dist). Without further flags, those of what this machine has built; `--binaries` takes
// the platforms' binaries from DIR/<platform>/ instead; `--all` fails when a platform is missing.
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { platforms } from "./pack/platforms.mjs";
import { findBinaries, stage } from "./pack/stage.mjs";
import { root, say } from "./steps.mjs";

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  say(`error: ${message}`);
  process.exit(1);
}

const { values: flags } = parseArgs({
  options: {
    out: { type: "string", default: path.join(root, "dist") },
    binaries: { type: "string" },
    all: { type: "boolean", default: false },
  },
});

const found = platforms().map((platform) => findBinaries(platform, flags.binaries));
const binaries = found.filter((one) => typeof one !== "string");
const missing = found.filter((one) => typeof one === "string");
if (flags.all && missing.length > 0) fail(`missing: ${missing.join(", ")}`);
if (binaries.length === 0) fail("There is no binary to pack. Run `npm run build` first.");

const out = path.resolve(flags.out);
const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env;
const repository = server && name ? `git+${server}/${name}.git` : undefined;
const staged = stage(path.join(out, "packages"), binaries, repository);
mkdirSync(path.join(out, "tarballs"), { recursive: true });
for (const [order, directory] of staged.entries()) {
  const args = ["pack", "--silent", "--pack-destination", path.join(out, "tarballs")];
  const { status, error } = spawnSync("npm", args, {
    cwd: directory,
    stdio: ["ignore", "ignore", "inherit"],
    shell: process.platform === "win32",
  });
  if (status !== 0) fail(`npm pack failed in ${directory}${error ? `: ${error.message}` : ""}`);
  say(`packed ${order + 1}/${staged.length} ${path.basename(directory)}`);
}
for (const file of readdirSync(path.join(out, "tarballs")).sort()) {
  process.stdout.write(`${path.join(out, "tarballs", file)}\n`);
}
