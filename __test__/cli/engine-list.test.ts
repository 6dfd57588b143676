// `arkor engine list` and `arkor engine remove`: what is installed, and what goes with it.
import { linkSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { arkor, ROOT, run } from "../support/command.ts";
import { LOCK, Machine } from "../support/engine.ts";
import { Project } from "../support/project.ts";

const CHANGED = `${LOCK}# changed\n`;

/** A machine with an environment of each lock file; the last one is the project's. */
async function installed(...locks: string[]) {
  const machine = new Machine(["uv", "python3"]);
  for (const lock of locks) {
    machine.lock(lock);
    await machine.install(["--cuda"]).exit;
  }
  return machine;
}

async function list(machine: Machine) {
  const { code, stdout } = await machine.run(["engine", "list", "--json"]).exit;
  expect(code).toBe(0);
  const [cpu, ...torch] = JSON.parse(stdout);
  return { cpu, torch };
}

const ABSENT = {
  engine: "torch",
  status: "not installed",
  version: null,
  place: null,
  bytes: null,
};
const present = (status: string, place: string) => ({
  ...{ engine: "torch", status, version: "2.15.0", place, bytes: expect.any(Number) },
});

describe("list", () => {
  it("has the CPU engine, which is built in, and says that the torch engine isn't installed", async () => {
    const { cpu, torch } = await list(new Machine([]));
    expect(cpu).toMatchObject({ engine: "cpu", status: "built in" });
    expect(cpu.bytes).toBeGreaterThan(1000);
    expect(torch).toEqual([ABSENT]);
  });

  it("tells an environment of this lock file from one of another", async () => {
    const machine = await installed(CHANGED, LOCK);
    const [mine, other] = [machine.place(), machine.place(CHANGED)];
    expect((await list(machine)).torch).toEqual([
      present("installed", mine),
      present("outdated", other),
    ]);
    rmSync(mine, { recursive: true });
    expect((await list(machine)).torch).toEqual([ABSENT, present("outdated", other)]);
  });

  it("leaves out one that isn't complete, or whose Python is gone", async () => {
    const machine = await installed(LOCK);
    rmSync(path.join(machine.place(), "bin/python"));
    mkdirSync(machine.place(CHANGED));
    expect((await list(machine)).torch).toEqual([ABSENT]);
  });

  it("prints a table", async () => {
    const machine = await installed(LOCK);
    const { stdout } = await machine.run(["engine", "list"]).exit;
    const [title, cpu, torch] = stdout.split("\n");
    expect(title).toMatch(/^ENGINE {2}STATUS +VERSION +SIZE +PLACE$/);
    expect(cpu).toMatch(/^cpu +built in +\d+\.\d+\.\d+ +[\d.]+ kB +\//);
    expect(torch).toMatch(/^torch +installed +2\.15\.0 +5\.\d kB +\//);
    expect(torch).toContain(machine.place());
  });
});

describe("remove", () => {
  it("deletes every environment and arkor's own uv, and says what that frees", async () => {
    const machine = await installed(CHANGED, LOCK);
    const own = path.join(machine.engines, "uv-0.13.9/cache");
    mkdirSync(own, { recursive: true });
    // A hard link, like uv's into its cache: the file counts once.
    linkSync(path.join(machine.place(), "package.py"), path.join(own, "package.py"));
    const { code, stdout, stderr } = await machine.run(["engine", "remove", "torch"]).exit;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const places = [machine.place(), machine.place(CHANGED)].sort();
    expect(stdout).toMatch(/\nFreed 1[01] kB\n$/);
    expect(stdout.split("\n").slice(0, 2)).toEqual(places.map((place) => `Removed ${place}`));
    expect(machine.left).toEqual([]);
  });

  it("says what stays in uv's cache", async () => {
    const machine = await installed(LOCK);
    linkSync(path.join(machine.place(), "package.py"), path.join(machine.cache, "package.py"));
    const { stdout, stderr } = await machine.run(["engine", "remove", "torch"]).exit;
    expect(stdout).toMatch(/\nFreed 0\.\d kB\n$/);
    expect(stderr).toBe("Another 5.0 kB are still in uv's cache. To free them: uv cache clean\n");
  });

  it("says when there is nothing to remove", async () => {
    const { code, stdout } = await new Machine([]).run(["engine", "remove", "torch"]).exit;
    expect({ code, stdout }).toEqual({ code: 0, stdout: "The torch engine isn't installed.\n" });
  });
});

it("without @arkor/local, install says how to get it", async () => {
  const project = new Project();
  for (const part of ["bin", "cli", "lib", "package.json"]) {
    await run("cp", ["-r", path.join(ROOT, part), project.cwd], project).exit;
  }
  for (const name of ["commander", "esbuild", "hono"]) {
    writeFileSync(project.path("links"), name);
    await run(
      "ln",
      ["-s", path.join(ROOT, "node_modules", name), project.path("node_modules")],
      project,
    ).exit;
  }
  const args = [project.path("bin/arkor.js"), "engine", "install", "torch"];
  const { code, stderr } = await run(process.execPath, args, project.at(undefined)).exit;
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr:
      "error: The torch engine comes with @arkor/local, which is not installed. Install it with " +
      "`npm install @arkor/local`, or in a checkout of arkor build it with `npm run build`.\n",
  });
});

it.each([["engine"], ["engine", "--help"]])("arkor %s lists what it does", async (...args) => {
  const { code, stdout, stderr } = await arkor(args, new Project()).exit;
  expect(code).toBe(0);
  for (const name of ["list", "install", "remove"]) {
    expect(stdout + stderr).toMatch(new RegExp(`^ {2}${name}\\b`, "m"));
  }
});
