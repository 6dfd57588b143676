// The tarballs of this checkout, packed once per test file in the same way as for a release.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll } from "vitest";
import { ROOT } from "./process.ts";

export { ROOT };

/** This machine's platform, from the name of the built addon. */
export const PLATFORM = execFileSync("ls", [ROOT], { encoding: "utf8" }).match(
  /^arkor\.(.+)\.node$/m,
)?.[1] as string;

export const VERSION: string = manifest(ROOT).version;

export interface Manifest {
  version: string;
  optionalDependencies: Record<string, string>;
  [field: string]: unknown;
}

export function manifest(directory: string): Manifest {
  return JSON.parse(readFileSync(path.join(directory, "package.json"), "utf8"));
}

/** Creates a directory that is deleted after the file's tests. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), "arkor-package-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface Packed {
  /** The output directory of `npm run pack`. */
  dist: string;
  tarball(name: string): string;
}

export function pack(): Packed {
  const dist = temporaryDirectory();
  execFileSync(process.execPath, [path.join(ROOT, "scripts/pack.mjs"), "--out", dist], {
    stdio: "pipe",
  });
  return { dist, tarball: (name) => path.join(dist, "tarballs", `${name}-${VERSION}.tgz`) };
}
