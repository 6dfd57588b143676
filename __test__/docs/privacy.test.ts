// docs/privacy.md names every host that the sources have.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { textOf } from "../support/markdown.ts";
import { ROOT } from "../support/process.ts";

const FOLDERS = [
  "bin",
  "cli",
  "create-arkor",
  "lib",
  "src",
  "local/src",
  "local/torch/arkor_torch",
];
const OTHERS = ["local/index.js", "local/start.js", "local/binary.js", "local/vitest.mjs"];

/** Hosts that can't be anyone's: reserved names, this machine, and names without a dot. */
const NOBODYS = /^(127\.0\.0\.1|[^.]+|.*\.(example|test|invalid|localhost))$/;

it("docs/privacy.md names every host in the sources", () => {
  const inFolders = FOLDERS.flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: "utf8" }).map((file) =>
      path.join(folder, file),
    ),
  );
  const files = [...inFolders, ...OTHERS]
    .filter((file) => /\.(c?js|mjs|rs|py)$/.test(file))
    // Studio's page is built from packages that contain the addresses of specifications.
    .filter((file) => !file.startsWith(path.join("cli", "dev", "page")));
  expect(files.length).toBeGreaterThan(100);
  const hosts = new Set(
    files
      .flatMap((file) => [
        ...readFileSync(path.join(ROOT, file), "utf8").matchAll(/\b(?:https?|wss?):\/\/([\w.-]+)/g),
      ])
      .map(([, host]) => host.replace(/\.$/, "")),
  );
  const named = textOf("docs/privacy.md");
  const strangers = [...hosts].filter((host) => !NOBODYS.test(host) && !named.includes(host));
  expect(hosts).toContain("api.arkor.ai");
  expect(strangers).toEqual([]);
});
