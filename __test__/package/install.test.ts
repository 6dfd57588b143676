// `npm install arkor` in a clean project, from a registry on 127.0.0.1, and then some of the trials of
// `npm run try` in it.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startBackend } from "../../scripts/try/backend.mjs";
import { attempt, execute, install } from "../../scripts/try/project.mjs";
import { startRegistry } from "../../scripts/try/registry.mjs";
import { TRAINING, TRIALS } from "../../scripts/try/trials.mjs";
import { manifest, PLATFORM, pack, ROOT, temporaryDirectory } from "../support/packed.ts";

const modules = path.join(ROOT, "node_modules");
let cwd: string;
let installed: Awaited<ReturnType<typeof install>>;
let fetched: string[];
let backend: Awaited<ReturnType<typeof startBackend>>;

beforeAll(async () => {
  cwd = temporaryDirectory();
  const registry = await startRegistry(pack().dist, { installed: modules });
  backend = await startBackend();
  afterAll(() => backend.close());
  installed = await install(cwd, ["arkor", "@arkor/local"], registry.url);
  registry.close();
  fetched = registry.fetched;
  // A project's tools; their installation isn't under test.
  mkdirSync(path.join(cwd, "node_modules/@types"), { recursive: true });
  for (const tool of ["typescript", "vitest", "@types/node"]) {
    symlinkSync(path.join(modules, tool), path.join(cwd, "node_modules", tool), "junction");
  }
});

describe("npm install arkor @arkor/local", () => {
  it("succeeds, without any install script", () => {
    expect(installed).toMatchObject({ code: 0, output: expect.stringContaining("added") });
  });

  it("fetches the packages of this platform and of no other", () => {
    const ours = fetched.filter((name) => name === "arkor" || name.startsWith("@arkor/"));
    expect(new Set(ours)).toEqual(
      new Set(["arkor", "@arkor/local", `@arkor/arkor-${PLATFORM}`, `@arkor/local-${PLATFORM}`]),
    );
  });

  it("brings along what the lock file has for users, and nothing else", () => {
    const lock: Lock = JSON.parse(readFileSync(path.join(ROOT, "package-lock.json"), "utf8"));
    const forUsers = Object.entries(lock.packages)
      .filter(([key, { dev, optional, devOptional }]) => key && !dev && !optional && !devOptional)
      .map(([key]) => key.replace(/^.*node_modules\//, ""));
    // What esbuild has for a platform is an optional dependency of its own.
    const others = fetched.filter((name) => !/arkor/.test(name) && !name.startsWith("@esbuild/"));
    expect(new Set(others)).toEqual(new Set(forUsers));
  });
});

it("no link of the installed pages leads to a file that isn't there", () => {
  const own = path.join(cwd, "node_modules");
  const docs = readdirSync(path.join(own, "arkor/docs")).map((file) => `arkor/docs/${file}`);
  const pages = ["arkor/README.md", "arkor/CHANGELOG.md", "@arkor/local/README.md", ...docs];
  const links = pages.flatMap((page) => {
    const text = readFileSync(path.join(own, page), "utf8");
    const targets = [...text.matchAll(/(?:\]\(|^\[[^\]]+\]: )([^)\s#]+)/gm)];
    return targets.map(([, target = ""]) => ({ page, target }));
  });
  const relative = links.filter(({ target }) => !/^[a-z]+:/.test(target));
  expect(relative.length).toBeGreaterThan(100);
  const fileOf = ({ page, target }: (typeof links)[0]) =>
    path.join(own, path.dirname(page), target);
  expect(relative.filter((link) => !existsSync(fileOf(link)))).toEqual([]);
});

it("links to what isn't installed lead to the repository, those to the backend's page beside it", () => {
  const text = (page: string) => readFileSync(path.join(cwd, "node_modules/arkor", page), "utf8");
  const repository = "https://github.com/arkor/arkor";
  expect(text("README.md")).toContain(`](${repository}/blob/main/CONTRIBUTING.md)`);
  expect(text("README.md")).toContain(`](${repository}/raw/main/docs/images/start-running.svg)`);
  expect(text("README.md")).toContain("](docs/getting-started.md");
  expect(text("docs/options.md")).toContain("](../../@arkor/local/README.md#config)");
  expect(text("docs/engines.md")).toMatch(
    /^\[models\]: \.\.\/\.\.\/@arkor\/local\/README\.md#models$/m,
  );
});

interface Lock {
  packages: Record<string, { dev?: boolean; optional?: boolean; devOptional?: boolean }>;
}

describe("in a clean project", () => {
  it.each([...TRIALS, TRAINING])("works: $name", async (trial) => {
    const result = await attempt(trial, cwd, backend.env, (tool) => find(tool));
    expect(result.passed, result.output).toBe(true);
  });

  /** The project's own executable of that name, else this checkout's. */
  function find(tool: string): string[] {
    const own = path.join(cwd, "node_modules/.bin");
    const all = path.join(modules, ".bin");
    return [path.join(readdirSync(own).includes(tool) ? own : all, tool)];
  }
});

describe("without a binary for the platform", () => {
  /** Runs a copy of the project in which `change` has altered the addon of the platform's package. */
  async function run(change: (addon: string) => void, preload = "") {
    const project = temporaryDirectory();
    const copy = path.join(project, "node_modules");
    const copied = await execute(ROOT, ["cp", "-R", path.join(cwd, "node_modules"), copy]);
    expect(copied.code).toBe(0);
    change(path.join(copy, `@arkor/arkor-${PLATFORM}`));
    writeFileSync(path.join(project, "preload.cjs"), preload);
    writeFileSync(path.join(project, "run.cjs"), "require('arkor').createTrainer({ name: 'run' })");
    const env = { NODE_OPTIONS: `--require=${path.join(project, "preload.cjs")}` };
    const own = await execute(project, [process.execPath, "run.cjs"], env);
    const command = path.join(copy, "arkor/bin/arkor.js");
    writeFileSync(
      path.join(project, "entry.mjs"),
      "import { createTrainer } from 'arkor'; export const trainer = createTrainer({ name: 'run' });",
    );
    const cli = await execute(project, [process.execPath, command, "start", "entry.mjs"], env);
    return { own: own.output, cli };
  }
  const remove = (addon: string) => rmSync(addon, { recursive: true });
  const [os, arch] = PLATFORM.split("-");

  it("an error names the platform, the package that is missing, and what to do", async () => {
    const { own, cli } = await run(remove);
    expect(own).toMatch(`arkor's native engine for ${os} ${arch}`);
    expect(own).toContain(`is not installed: @arkor/arkor-${PLATFORM} is missing.`);
    expect(own).toContain("run `npm install --include=optional` on this machine");
    expect(cli.code).toBe(1);
    expect(cli.output).toMatch(/^error: arkor's native engine for .*`npm run build`\.\n$/);
  });

  it("an error says of a platform that has none which ones have", async () => {
    const preload = `Object.defineProperty(process, "platform", { value: "freebsd" });`;
    const { own } = await run(() => {}, preload);
    expect(own).toContain(`arkor has no native engine for freebsd ${arch}. There is one for`);
    expect(own).toContain("linux-x64-musl");
  });

  it("an error of a binary that can't be loaded has the linker's reason", async () => {
    const { own } = await run((addon) =>
      writeFileSync(path.join(addon, `arkor.${PLATFORM}.node`), "junk"),
    );
    expect(own).toContain("is installed, but can't be loaded: ");
    expect(own).toMatch(/arkor\.[\w-]+\.node: (file too short|invalid ELF header)|not a valid/);
  });

  it("the command says what is missing of the local backend", async () => {
    const project = temporaryDirectory();
    const copy = path.join(project, "node_modules");
    await execute(ROOT, ["cp", "-R", path.join(cwd, "node_modules"), copy]);
    rmSync(path.join(copy, `@arkor/local-${PLATFORM}`), { recursive: true });
    const command = path.join(copy, "arkor/bin/arkor.js");
    writeFileSync(
      path.join(project, "entry.mjs"),
      "export const trainer = { start() {}, wait() {} };",
    );
    const args = [command, "start", "--local", "entry.mjs"];
    const { code, output } = await execute(project, [process.execPath, ...args]);
    expect(code).toBe(1);
    expect(output).toMatch(
      new RegExp(
        `^error: There is no arkor-local binary for .*: @arkor/local-${PLATFORM} is not installed\\..*\\n$`,
      ),
    );
  });

  it("the local backend says so, too", async () => {
    const project = temporaryDirectory();
    const code = `console.log((() => { try { return require(${JSON.stringify(path.join(cwd, "node_modules/@arkor/local"))}).binaryPath() } catch (error) { return error.message } })())`;
    writeFileSync(path.join(project, "run.cjs"), code);
    const there = await execute(project, [process.execPath, "run.cjs"]);
    expect(there.output).toMatch(/arkor-local(\.exe)?\n$/);
    const hidden = `Object.defineProperty(process, "arch", { value: "riscv64" });\n${code}`;
    writeFileSync(path.join(project, "run.cjs"), hidden);
    const { output } = await execute(project, [process.execPath, "run.cjs"]);
    expect(output).toMatch(/^There is no arkor-local binary for \w+ riscv64.*: @arkor\/local-/);
  });
});

it("the manifest of every installed package is without scripts", () => {
  for (const name of ["arkor", "@arkor/local", `@arkor/arkor-${PLATFORM}`]) {
    expect(manifest(path.join(cwd, "node_modules", name))).not.toHaveProperty("scripts");
  }
});
