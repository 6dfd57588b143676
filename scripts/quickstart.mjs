// `npm run quickstart`: from a fresh clone to a trained adapter. Installs and builds what is missing,
// then runs `arkor start --local` in examples/triage; further arguments go to it.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";
import { installIfNeeded, root, say, step } from "./steps.mjs";

const example = path.join(root, "examples/triage");

/**
 * The example imports "arkor" as any project does. A link to this checkout takes the place of an
 * installation: it needs no network, and shows every change of the sources at once. `npm install` in
 * the example gives the same link, from its dependency "file:../..".
 */
function linkPackage() {
  const link = path.join(example, "node_modules/arkor");
  if (existsSync(link)) return;
  // Not there, or a link that points nowhere since the checkout was moved.
  rmSync(link, { force: true });
  mkdirSync(path.dirname(link), { recursive: true });
  // A junction needs no special right on Windows; elsewhere the type is ignored.
  symlinkSync(
    process.platform === "win32" ? root : path.relative(path.dirname(link), root),
    link,
    "junction",
  );
}

function startTraining() {
  const arkor = path.join(root, "bin/arkor.js");
  // In CI, too, the example trains the built-in base.
  const args = [arkor, "start", "--local", "--no-strict-model", ...process.argv.slice(2)];
  const child = spawn(process.execPath, args, { cwd: example, stdio: "inherit" });
  // Ctrl-C reaches the child by itself; it decides, and its exit code is ours.
  process.on("SIGINT", () => {});
  child.on("close", (code) => {
    process.exitCode = code ?? 1;
  });
}

installIfNeeded();
say("Building what has changed; the first time takes some minutes.");
step(process.execPath, [path.join(root, "scripts/build.mjs")]);
linkPackage();
startTraining();
