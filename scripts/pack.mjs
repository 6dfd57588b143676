// `npm run pack -- [--out DIR]`: writes the tarballs to publish, from what this machine has built, to DIR
// (default: dist). The packages of a platform come from one machine; `arkor`, `@arkor/local` and
// `create-arkor` are the same on each machine.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { builtHere, stage } from "./pack/stage.mjs";
import { root, say, step } from "./steps.mjs";

const { values: flags } = parseArgs({
  options: { out: { type: "string", default: path.join(root, "dist") } },
});
const binaries = builtHere();
if (binaries.length === 0) {
  say("error: there is no binary to pack. Run `npm run build` first.");
  process.exit(1);
}
const out = path.resolve(flags.out);
const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env;
const repository = server && name ? `git+${server}/${name}.git` : undefined;
const staged = stage(path.join(out, "packages"), binaries, repository);
const tarballs = path.join(out, "tarballs");
rmSync(tarballs, { recursive: true, force: true });
mkdirSync(tarballs, { recursive: true });
for (const directory of staged) {
  step("npm", ["pack", "--silent", "--pack-destination", tarballs], directory);
}
for (const file of readdirSync(tarballs).sort()) say(path.join(tarballs, file));
