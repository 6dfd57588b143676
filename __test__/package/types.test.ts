import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import * as arkor from "../../index.js";
import { ROOT, runScript } from "../support/process.ts";

it("a project of the TypeScript SDK compiles under strict, and wrong uses do not", () => {
  const tsc = path.join(ROOT, "node_modules/typescript/bin/tsc");
  const run = () =>
    execFileSync(process.execPath, [tsc, "-p", path.join(__dirname, "../types")], {
      encoding: "utf8",
      stdio: "pipe",
    });
  expect(run).not.toThrow();
});

it("import and require give the same objects", async () => {
  const { stdout, stderr } = await runScript(`
    const { pathToFileURL } = require("node:url");
    const file = pathToFileURL(require.resolve(${JSON.stringify(ROOT)}));
    const imported = await import(file);
    for (const [name, value] of Object.entries(arkor)) {
      if (imported[name] !== value) console.log(name);
    }
    console.log(Object.keys(arkor).sort().join(" "));
  `);
  expect(stderr).toBe("");
  expect(stdout).toBe(
    "AnonymousTokenRejectedError CloudApiClient CloudApiError ProjectStateMismatchError SUPPORTED_MODELS completionStream completionText createArkor createTrainer credentialsPath defaultArkorCloudApiUrl ensureCredentials isArkor readCredentials readState requestAnonymousToken runTrainer statePath writeCredentials writeState\n",
  );
});

it("the models and the manifest are frozen", () => {
  expect(arkor.SUPPORTED_MODELS).toEqual(["unsloth/gemma-4-E4B-it"]);
  const manifest = arkor.createArkor({});
  expect(Object.isFrozen(arkor.SUPPORTED_MODELS) && Object.isFrozen(manifest)).toBe(true);
  expect(manifest).toEqual({ _kind: "arkor", trainer: undefined });
  expect([manifest, {}, null, "arkor"].map(arkor.isArkor)).toEqual([true, false, false, false]);
});

it("the crate and the package have one version", () => {
  const { version } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));
  const manifest = readFileSync(path.join(ROOT, "Cargo.toml"), "utf8");
  expect(manifest.match(/^version = "(.*)"$/m)?.[1]).toBe(version);
});

it("the stripped addon is at most 8 MiB", () => {
  const files = execFileSync("ls", [ROOT], { encoding: "utf8" }).split("\n");
  const addon = files.filter((file) => file.endsWith(".node"));
  expect(addon).toHaveLength(1);
  expect(statSync(path.join(ROOT, addon[0])).size).toBeLessThanOrEqual(8 * 1024 * 1024);
});
