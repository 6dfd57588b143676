// Packs this checkout into the tarballs that a user installs. They contain this machine's binaries, which a
// release has in a separate package for each platform.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import { temporaryDirectory } from "./backend.ts";
import { ROOT } from "./command.ts";

/** @returns the paths of the tarballs of arkor and @arkor/local */
export function pack(): string[] {
  const addons = readdirSync(ROOT).filter((file) => /^arkor\..*\.node$/.test(file));
  const binaries = readdirSync(path.join(ROOT, "local/bin")).map((file) => `bin/${file}`);
  return [packWith(ROOT, addons), packWith(path.join(ROOT, "local"), binaries)];
}

function packWith(directory: string, binaries: string[]): string {
  const out = temporaryDirectory();
  const listed = execFileSync(
    "npm",
    ["pack", "--json", "--ignore-scripts", "--pack-destination", out],
    {
      cwd: directory,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
  const [{ filename }] = JSON.parse(listed);
  const tarball = path.join(out, filename);
  execFileSync("tar", ["-xzf", tarball], { cwd: out });
  for (const file of binaries) {
    const target = path.join(out, "package", file);
    mkdirSync(path.dirname(target), { recursive: true });
    copyFileSync(path.join(directory, file), target);
  }
  execFileSync("tar", ["-czf", tarball, "package"], { cwd: out });
  return tarball;
}
