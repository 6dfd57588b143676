// What is published: the tarballs' files and sizes, their manifests, and what the linters of packages
// say about them.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { beforeAll, describe, expect, it } from "vitest";
import { manifest, type Packed, PLATFORM, pack, ROOT, VERSION } from "../support/packed.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

let packed: Packed;
beforeAll(() => {
  packed = pack();
});

function filesOf(name: string): string[] {
  const list = execFileSync("tar", ["-tzf", packed.tarball(name)], { encoding: "utf8" });
  return list
    .trim()
    .split("\n")
    .map((file) => file.replace(/^package\//, ""))
    .sort();
}

/** The files that git knows in these directories. The tarball must contain all of them. */
function tracked(...directories: string[]): string[] {
  const list = execFileSync(
    "git",
    ["ls-files", "--cached", "--others", "--exclude-standard", ...directories],
    {
      cwd: ROOT,
      encoding: "utf8",
    },
  );
  return list.trim().split("\n");
}

/** Studio's page is built, not tracked. */
const page = () =>
  readdirSync(path.join(ROOT, "cli/dev/page"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)))
    .map((file) => file.split(path.sep).join("/"));

describe("the files of", () => {
  it("arkor", () => {
    expect(filesOf("arkor")).toEqual(
      [
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "binding.js",
        "index.d.ts",
        "index.js",
        "package.json",
        ...tracked("bin", "cli", "lib", ":(glob)docs/*.md"),
        ...page(),
      ].sort(),
    );
  });

  it("create-arkor", () => {
    const files = ["LICENSE", "README.md", "bin/create-arkor.js", "package.json"];
    expect(filesOf("create-arkor")).toEqual(files);
  });

  it("@arkor/local", () => {
    const engine = tracked("local/torch")
      .map((file) => file.replace(/^local\//, ""))
      .filter((file) =>
        /^torch\/(arkor_torch\/|__main__\.py$|pyproject\.toml$|uv\.lock$)/.test(file),
      );
    expect(engine).toContain("torch/uv.lock");
    expect(filesOf("arkor-local")).toEqual(
      [
        ...["LICENSE", "README.md", "binary.js", "index.d.ts", "index.js", "package.json"],
        ...["start.js", "vitest.d.mts", "vitest.mjs", ...engine],
      ].sort(),
    );
  });

  it.each([
    ["the engine", () => `arkor-arkor-${PLATFORM}`, () => `arkor.${PLATFORM}.node`],
    ["the local backend", () => `arkor-local-${PLATFORM}`, () => localBinary()],
  ])("%s for this platform, with the notices of its crates", (_, name, binary) => {
    expect(filesOf(name())).toEqual(
      ["LICENSE", "README.md", "THIRD-PARTY-NOTICES.md", binary(), "package.json"].sort(),
    );
  });
});

const localBinary = () => (PLATFORM.startsWith("win32") ? "arkor-local.exe" : "arkor-local");

it.each([
  // Most of it is the page of Studio and the documentation.
  ["arkor", 460 * KIB],
  ["create-arkor", 4 * KIB],
  // Most of it is the torch engine's lock file.
  ["arkor-local", 300 * KIB],
  [`arkor-arkor-${PLATFORM}`, 4 * MIB],
  [`arkor-local-${PLATFORM}`, 20 * MIB],
])("%s is packed into at most %d bytes", (name, limit) => {
  expect(statSync(packed.tarball(name)).size).toBeLessThanOrEqual(limit);
});

describe("the manifests", () => {
  const published = (name: string) => manifest(path.join(packed.dist, "packages", name));

  it.each(["arkor", "local"])(
    "%s asks for the packages of all platforms, in its own version",
    (name) => {
      const { optionalDependencies, version } = published(name);
      expect(Object.keys(optionalDependencies)).toHaveLength(8);
      expect(optionalDependencies[`@arkor/${name}-${PLATFORM}`]).toBe(VERSION);
      expect(new Set(Object.values(optionalDependencies))).toEqual(new Set([version]));
    },
  );

  it("create-arkor asks for the arkor of its own version", () => {
    expect(published("create-arkor")).toMatchObject({
      version: VERSION,
      dependencies: { arkor: VERSION },
    });
  });

  it("every package says where it comes from", () => {
    for (const name of readdirSync(path.join(packed.dist, "packages"))) {
      expect(published(name)).toMatchObject({
        homepage: expect.stringMatching(/^https:/),
        bugs: expect.stringMatching(/^https:.*\/issues$/),
        repository: { type: "git", url: expect.stringMatching(/^git\+https:.*\.git$/) },
      });
    }
  });

  it("no package runs anything when it is installed", () => {
    for (const name of readdirSync(path.join(packed.dist, "packages"))) {
      expect(published(name)).not.toHaveProperty("scripts");
      expect(published(name)).not.toHaveProperty("devDependencies");
    }
  });
});

describe("the notices", () => {
  const notices = (name: string) =>
    readFileSync(path.join(packed.dist, "packages", name, "THIRD-PARTY-NOTICES.md"), "utf8");

  it("name the crates of the binary and their licences, and no others", () => {
    const engine = notices(`arkor-${PLATFORM}`);
    expect(engine).toMatch(/^- tokio \d+\.\d+\.\d+ \(MIT\), https:/m);
    expect(engine).toMatch(/^- ring \d.*ISC/m);
    // A dev dependency, and a dependency of the local backend only.
    expect(engine).not.toMatch(/^- (proptest|candle-core) /m);
    expect(notices(`local-${PLATFORM}`)).toMatch(/^- candle-core /m);
  });

  it("have the words of every licence", () => {
    const [, ...parts] = notices(`arkor-${PLATFORM}`).split("~~~~text\n");
    for (const part of parts) expect(part.split("~~~~")[0].length).toBeGreaterThan(400);
  });
});

describe.each(["arkor", "arkor-local", "create-arkor"])("%s", (name) => {
  it("passes publint, its suggestions too", async () => {
    const bytes = readFileSync(packed.tarball(name));
    const tarball = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
    const { messages } = await publint({ pack: { tarball }, strict: true, level: "suggestion" });
    expect(messages).toEqual([]);
  });
});

describe.each(["arkor", "arkor-local"])("%s", (name) => {
  it("passes Are The Types Wrong", async () => {
    const result = await checkPackage(
      createPackageFromTarballData(readFileSync(packed.tarball(name))),
    );
    expect(result).toMatchObject({ types: { kind: "included" } });
    const problems = "problems" in result ? result.problems : "no types";
    // Vitest itself is for ES modules only.
    const fixture = (kind: string, resolutionKind: string) =>
      expect.objectContaining({ entrypoint: "./vitest", kind, resolutionKind });
    const known = [fixture("NoResolution", "node10"), fixture("CJSResolvesToESM", "node16-cjs")];
    expect(problems).toEqual(name === "arkor-local" ? known : []);
  });
});
