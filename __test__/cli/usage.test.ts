// How the command answers to its arguments: help, version, and usage errors in one line.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { ARKOR, arkor, ROOT, run } from "../support/command.ts";
import { Project } from "../support/project.ts";

const manifest = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));

const COMMANDS = [
  "init",
  "build",
  "start",
  "attach",
  "jobs",
  "cancel",
  "local",
  "login",
  "logout",
  "whoami",
  "completion",
];

describe("arkor", () => {
  it.each([["--version"], ["-V"]])(
    "%s prints the package's version and nothing else",
    async (flag) => {
      const { code, stdout, stderr } = await arkor([flag], new Project()).exit;
      expect({ code, stdout, stderr }).toEqual({
        code: 0,
        stdout: `${manifest.version}\n`,
        stderr: "",
      });
    },
  );

  it.each([[[]], [["--help"]], [["-h"]]])("%j lists the commands on stdout", async (args) => {
    const { code, stdout } = await arkor(args, new Project()).exit;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Usage: arkor /);
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^ {2}${command}\\b`, "m"));
  });

  // Only Linux has a device that is always full.
  it.each(process.platform === "linux" ? ["--help", "--version", "build --help"] : [])(
    "%s is one error line when stdout can't be written",
    async (args) => {
      const [program, script] = ARKOR;
      const line = `"${program}" "${script}" ${args} >/dev/full`;
      const { code, stderr } = await run("/bin/sh", ["-c", line], new Project()).exit;
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringMatching(/^error: Can't write to stdout: ENOSPC.*\n$/),
      });
    },
  );

  it.each(COMMANDS)("%s --help shows an example", async (command) => {
    const { code, stdout } = await arkor([command, "--help"], new Project()).exit;
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`Example:\\n {2}\\$ arkor ${command}\\b`));
  });

  it.each([
    [["strat"], "error: unknown command 'strat' (Did you mean start?)"],
    [["start", "--loca"], "error: unknown option '--loca' (Did you mean --local?)"],
    [
      ["build", "a.ts", "b.ts"],
      "error: too many arguments for 'build'. Expected 1 argument but got 2.",
    ],
    [["start", "--local", "--port", "70000"], expect.stringContaining("from 0 to 65535")],
    [["start", "--port", "1"], "error: --port is for the local backend; add --local."],
    [["start", "--base-model", "m"], "error: --base-model is for the local backend; add --local."],
    [["dev", "--base-model", "m"], "error: --base-model is for the local backend; add --local."],
  ])("%j is a usage error: one line on stderr, exit 1", async (args, message) => {
    const { code, stdout, stderr } = await arkor(args, new Project()).exit;
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr.trimEnd().split("\n")).toEqual([message]);
  });
});
