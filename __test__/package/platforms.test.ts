// The packages of the platforms: what npm reads in them, and that a release says one version.
import { cpSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { explain, PLATFORMS, platformName } from "../../lib/addon.js";
import { writePlatforms } from "../../scripts/pack/platforms.mjs";
import { crateVersion, releaseProblems } from "../../scripts/pack/release.mjs";
import { manifest, ROOT, temporaryDirectory, VERSION } from "../support/packed.ts";

/** For each target in package.json: the package, and the fields by which npm chooses it. */
const TARGETS = {
  "x86_64-unknown-linux-gnu": ["linux-x64-gnu", "linux", "x64", "glibc"],
  "aarch64-unknown-linux-gnu": ["linux-arm64-gnu", "linux", "arm64", "glibc"],
  "x86_64-unknown-linux-musl": ["linux-x64-musl", "linux", "x64", "musl"],
  "aarch64-unknown-linux-musl": ["linux-arm64-musl", "linux", "arm64", "musl"],
  "x86_64-apple-darwin": ["darwin-x64", "darwin", "x64", undefined],
  "aarch64-apple-darwin": ["darwin-arm64", "darwin", "arm64", undefined],
  "x86_64-pc-windows-msvc": ["win32-x64-msvc", "win32", "x64", undefined],
  "aarch64-pc-windows-msvc": ["win32-arm64-msvc", "win32", "arm64", undefined],
} as const;

it("package.json names these targets, and npm/, local/npm/ and the loader have each of them", () => {
  const { napi } = manifest(ROOT) as unknown as { napi: { targets: string[] } };
  expect([...napi.targets].sort()).toEqual(Object.keys(TARGETS).sort());
  const names = Object.values(TARGETS).map(([name]) => name);
  expect(readdirSync(path.join(ROOT, "npm")).sort()).toEqual([...names].sort());
  expect(readdirSync(path.join(ROOT, "local/npm")).sort()).toEqual([...names].sort());
  expect(PLATFORMS).toEqual([...names].sort());
});

describe.each(Object.entries(TARGETS))("%s", (_, [name, os, cpu, libc]) => {
  const common = {
    version: VERSION,
    os: [os],
    cpu: [cpu],
    license: "MIT",
    engines: manifest(ROOT).engines,
  };
  const extra = ["LICENSE", "THIRD-PARTY-NOTICES.md"];

  it("npm/ has the engine's package, which the generated loader asks for", () => {
    const addon = `arkor.${name}.node`;
    const found = manifest(path.join(ROOT, "npm", name));
    expect(found.libc).toEqual(libc && [libc]);
    expect(found).toMatchObject({
      ...common,
      name: `@arkor/arkor-${name}`,
      main: addon,
      files: [addon, ...extra],
    });
    const loader = readFileSync(path.join(ROOT, "binding.js"), "utf8");
    expect(loader).toContain(`require('@arkor/arkor-${name}')`);
  });

  it("local/npm/ has the local backend's package", () => {
    const program = os === "win32" ? "arkor-local.exe" : "arkor-local";
    const found = manifest(path.join(ROOT, "local/npm", name));
    expect(found.libc).toEqual(libc && [libc]);
    expect(found).toMatchObject({
      ...common,
      name: `@arkor/local-${name}`,
      files: [program, ...extra],
    });
    expect(found).not.toHaveProperty("main");
  });
});

it("npm/ and local/npm/ are what `npm run platforms` writes", () => {
  const checkout = temporaryDirectory();
  mkdirSync(path.join(checkout, "local"));
  for (const file of ["package.json", "local/package.json"]) {
    cpSync(path.join(ROOT, file), path.join(checkout, file));
  }
  writePlatforms(checkout);
  for (const directory of ["npm", "local/npm"]) {
    expect(contents(path.join(checkout, directory))).toEqual(contents(path.join(ROOT, directory)));
  }
});

function contents(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  return Object.fromEntries(
    files.map((file) => [path.relative(directory, file), readFileSync(file, "utf8")]),
  );
}

it("lib/ reaches the generated loader by lib/addon.js only, which explains its failures", () => {
  const others = readdirSync(path.join(ROOT, "lib"), { recursive: true, encoding: "utf8" }).filter(
    (file) => file.endsWith(".js") && file !== "addon.js",
  );
  const direct = others.filter((file) =>
    /require\("(\.\.\/)+binding/.test(readFileSync(path.join(ROOT, "lib", file), "utf8")),
  );
  expect(direct).toEqual([]);
});

describe("a machine's platform", () => {
  it.each([
    [{ platform: "linux", arch: "x64", glibc: "2.36" }, "linux-x64-gnu"],
    [{ platform: "linux", arch: "arm64", glibc: undefined }, "linux-arm64-musl"],
    [{ platform: "darwin", arch: "arm64", glibc: undefined }, "darwin-arm64"],
    [{ platform: "win32", arch: "x64", glibc: undefined }, "win32-x64-msvc"],
  ])("of %o is %s", (machine, name) => {
    expect(platformName(machine)).toBe(name);
  });

  it("is named with its C library where there are several", () => {
    const alpine = { platform: "linux", arch: "x64", glibc: undefined };
    expect(explain(alpine, undefined, undefined)).toContain(
      "for linux x64, musl is not installed: @arkor/arkor-linux-x64-musl is missing",
    );
    const old = { platform: "linux", arch: "x64", glibc: "2.17" };
    const words = "/lib64/libc.so.6: version `GLIBC_2.28' not found (required by arkor.x.node)";
    const tried = new Error("Cannot find module './other.node'", { cause: new Error(words) });
    expect(explain(old, "/modules/arkor.x.node", tried)).toContain(
      `for linux x64, glibc 2.17 is installed, but can't be loaded: ${words}. It needs glibc 2.28`,
    );
  });
});

describe("a release", () => {
  const versions = { "package.json": "1.2.3", "Cargo.toml": "1.2.3" };
  const changelog = "# Changelog\n\n## 1.2.3 (2026-03-01)\n\nThings.\n";

  it("says one version everywhere", () => {
    expect(releaseProblems({ tag: "v1.2.3", versions, changelog })).toEqual([]);
  });

  it.each([
    [{ tag: "1.2.3" }, "1.2.3 is no tag of a version: v1.2.3"],
    [{ versions: { a: "1.2.3", b: "1.2.2" } }, "b has version 1.2.2, the tag says 1.2.3"],
    [{ versions: { a: undefined } }, "a has version undefined, the tag says 1.2.3"],
    [{ changelog: "## 1.2.2 (2026-01-01)" }, "CHANGELOG.md begins with 1.2.2, the tag says 1.2.3"],
    [
      { changelog: "## 1.2.3 (unreleased)" },
      'CHANGELOG.md has no date for 1.2.3: "## 1.2.3 (YYYY-MM-DD)"',
    ],
  ])("is refused: %o", (change, problem) => {
    expect(releaseProblems({ tag: "v1.2.3", versions, changelog, ...change })).toEqual([problem]);
  });

  it("finds the version of a crate", () => {
    const text = readFileSync(path.join(ROOT, "local/Cargo.toml"), "utf8");
    expect(crateVersion(text)).toBe(VERSION);
  });
});
