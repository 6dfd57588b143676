// `npm run docs [-- --dev]`: builds the documentation site into target/docs/dist, with the API reference
// generated from index.d.ts. `--dev` serves it instead. A broken link fails the build.
import path from "node:path";
import { parseArgs } from "node:util";
import { stage } from "./docs/stage.mjs";
import { installIfNeeded, root, say, step } from "./steps.mjs";

const { values: flags } = parseArgs({
  options: {
    dev: { type: "boolean", default: false },
    port: { type: "string", default: "5173" },
  },
});

const site = path.join(root, "target/docs/site");
const dist = path.join(root, "target/docs/dist");
const bin = (/** @type {string} */ file) => path.join(root, "node_modules", file);

installIfNeeded();
say("Collecting the pages.");
stage(site);
say("Making the API reference.");
step(process.execPath, [
  bin("typedoc/bin/typedoc"),
  ...["--options", path.join(root, "scripts/docs/typedoc.json")],
  ...["--out", path.join(site, "reference")],
]);
const vitepress = bin("vitepress/bin/vitepress.js");
if (flags.dev) {
  step(process.execPath, [vitepress, "dev", site, "--port", flags.port]);
} else {
  say("Building the site.");
  step(process.execPath, [vitepress, "build", site, "--outDir", dist]);
  say(`The site is in ${path.relative(process.cwd(), dist)}.`);
}
