// The scripts behind `npm run build` and `npm run quickstart`: what they say when they can't go on.
import path from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT, run } from "../support/command.ts";
import { Project } from "../support/project.ts";

const build = (args: string[], env: Record<string, string> = {}) =>
  run(process.execPath, [path.join(ROOT, "scripts/build.mjs"), ...args], {
    cwd: new Project().cwd,
    env,
  }).exit;

describe("scripts/build.mjs", () => {
  it("says how to get cargo when there is none", async () => {
    const { code, stdout, stderr } = await build([], { PATH: new Project().cwd });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toBe(
      "error: Rust's cargo was not found. Install Rust from https://rustup.rs, then run this again.\n",
    );
  });

  it("refuses a flag that it does not know", async () => {
    const { code, stderr } = await build(["--adon"]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "error: Unknown flag --adon; there are --addon, --local, --page.\n",
    });
  });
});
