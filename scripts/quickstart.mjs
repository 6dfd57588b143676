// `npm run quickstart`: gets from a fresh clone to a trained adapter. Installs and builds what's missing, and
// then runs `arkor start --local` in examples/triage with any further arguments.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";
import { installIfNeeded, root, say, step } from "./steps.mjs";

const example = path.join(root, "examples/triage");

/**
 * The example imports "arkor" like any project. A link to this checkout replaces an installation: it needs no
 * network, and always has the current sources. `npm install` in the example creates the same link, because of
 * its dependency "file:../..".
 */
function linkPackage() {
  const link = path.join(example, "node_modules/arkor");
  if (existsSync(link)) return;
  // It's missing, or it's a link that was broken when the checkout was moved.
  rmSync(link, { force: true });
  mkdirSync(path.dirname(link), { recursive: true });
  // A junction needs no special permission on Windows. Other systems ignore the type.
  symlinkSync(
    process.platform === "win32" ? root : path.relative(path.dirname(link), root),
    link,
    "junction",
  );
}

function startTraining() {
  const arkor = path.join(root, "bin/arkor.js");
  // The example trains the built-in model, also in CI.
  const args = [arkor, "start", "--local", "--no-strict-model", ...process.argv.slice(2)];
  const child = spawn(process.execPath, args, { cwd: example, stdio: "inherit" });
  // Ctrl-C reaches the child, too. The child decides what to do, and this script exits with its exit status.
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
