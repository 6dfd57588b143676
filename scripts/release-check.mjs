// `node scripts/release-check.mjs v1.2.3`: checks that every file has this version, and that the changelog
// has a date for it. The release workflow starts with this check.
import { readFileSync } from "node:fs";
import path from "node:path";
import { platforms, readManifest } from "./pack/platforms.mjs";
import { crateVersion, releaseProblems } from "./pack/release.mjs";
import { root, say } from "./steps.mjs";

/** @param {string} file */
const read = (file) => readFileSync(path.join(root, file), "utf8");

const manifests = [
  "package.json",
  "package-lock.json",
  "local/package.json",
  "create-arkor/package.json",
  ...platforms().flatMap((platform) => [
    `npm/${platform}/package.json`,
    `local/npm/${platform}/package.json`,
  ]),
];
const problems = releaseProblems({
  tag: process.argv[2] ?? "",
  versions: {
    ...Object.fromEntries(
      manifests.map((file) => [file, readManifest(path.join(root, file)).version]),
    ),
    "create-arkor's arkor": readManifest(path.join(root, "create-arkor/package.json")).dependencies
      .arkor,
    ...Object.fromEntries(
      ["Cargo.toml", "local/Cargo.toml"].map((file) => [file, crateVersion(read(file))]),
    ),
  },
  changelog: read("CHANGELOG.md"),
});
for (const problem of problems) say(`error: ${problem}`);
process.exitCode = problems.length === 0 ? 0 : 1;
