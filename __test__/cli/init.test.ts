// `arkor init` off a terminal: what it writes, what it keeps, and that each template is a project that
// type-checks and trains.
import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { arkor, ROOT, run } from "../support/command.ts";
import { Project } from "../support/project.ts";

const TEMPLATES = ["triage", "translate", "redaction"];

const init = (project: Project, ...args: string[]) =>
  arkor(["init", "-y", "--skip-install", ...args], project.at(undefined)).exit;

/** A project that was never installed: without the link to this checkout. */
function withoutModules() {
  const project = new Project();
  rmSync(project.path("node_modules"), { recursive: true });
  return project;
}

const manifestOf = (project: Project) => JSON.parse(project.read("package.json"));

describe.each(TEMPLATES)("the template %s", (template) => {
  it("is a project that type-checks, with the data in a file of its own", async () => {
    const project = new Project();
    const { code, stdout } = await init(project, "--template", template, "--name", "my-run");
    expect(code).toBe(0);
    expect(stdout).toContain(`Created data/${template}.jsonl\n`);
    expect(project.read("arkor.config.ts")).toContain('name: "my-run"');
    const tsc = path.join(ROOT, "node_modules/typescript/bin/tsc");
    const types = path.join(ROOT, "node_modules/@types");
    const args = [tsc, "-p", project.cwd, "--typeRoots", types];
    const checked = await run(process.execPath, args, project.at(undefined)).exit;
    expect(checked).toMatchObject({ code: 0, stdout: "" });
    for (const line of project.read(`data/${template}.jsonl`).trim().split("\n")) {
      const { messages } = JSON.parse(line);
      expect(messages.map(({ role }: { role: string }) => role)).toEqual(["user", "assistant"]);
    }
  });

  it("trains on this machine with arkor start --local --dry-run", async () => {
    const project = new Project();
    await init(project, "--template", template);
    const args = ["start", "--local", "--dry-run"];
    const { code, stdout } = await arkor(args, project.at(undefined)).exit;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Before: \d+ of \d+ .* right\. After: \d+ of \d+\.$/m);
    const [, adapter = ""] = stdout.match(/^Adapter: (.*)$/m) ?? [];
    expect(readdirSync(project.path(adapter))).toContain("adapter_model.safetensors");
  });
});

describe("what it writes", () => {
  it("is a whole project in an empty directory", async () => {
    const project = new Project();
    const { stdout } = await init(project, "--use-pnpm");
    expect(stdout.match(/^\w+ \S+$/gm)).toEqual([
      "Created package.json",
      "Created .gitignore",
      "Created src/arkor/index.ts",
      "Created src/arkor/score.ts",
      "Created tsconfig.json",
      "Created arkor.config.ts",
      "Created data/triage.heldout.jsonl",
      "Created data/triage.jsonl",
      "Created src/arkor/trainer.ts",
      "Created README.md",
      "Created pnpm-workspace.yaml",
    ]);
    expect(stdout).toMatch(/Next:\n {2}pnpm install\n {2}pnpm train:local {4,}train on/);
    expect(manifestOf(project)).toMatchObject({
      private: true,
      type: "module",
      scripts: {
        dev: "arkor dev",
        build: "arkor build",
        start: "arkor start",
        "train:local": "arkor start --local",
        typecheck: "tsc --noEmit",
      },
      devDependencies: { arkor: expect.any(String), typescript: expect.any(String) },
    });
    expect(project.read(".gitignore")).toBe("node_modules/\n.arkor/\n.env\n.env.local\n/model/\n");
    expect(project.has(".git")).toBe(false);
  });

  it("doesn't have git ignore a folder model that the project has itself", async () => {
    const project = new Project({ "model/index.ts": "" });
    await init(project);
    expect(project.read(".gitignore")).not.toContain("model");
  });

  it("lists the local backend for a project of its own, though there's one beside the command", async () => {
    expect(existsSync(path.join(ROOT, "local/index.js"))).toBe(true);
    const project = withoutModules();
    await init(project);
    expect(manifestOf(project).devDependencies).toHaveProperty("@arkor/local");
  });

  it("runs nothing of node_modules with --skip-install", async () => {
    const project = withoutModules();
    const spies = ["@arkor/local", "arkor", "arkor/local"];
    for (const name of spies) {
      const at = `node_modules/${name}`;
      project.write(`${at}/package.json`, JSON.stringify({ name, version: "1.0.0" }));
      project.write(
        `${at}/index.js`,
        `require("node:fs").writeFileSync(__dirname + "/was-run", "")`,
      );
    }
    expect((await init(project)).code).toBe(0);
    expect(spies.filter((name) => project.has(`node_modules/${name}/was-run`))).toEqual([]);
  });

  it("never overwrites a file, and adds to package.json and .gitignore what they lack", async () => {
    const mine = {
      name: "mine",
      scripts: { build: "my own" },
      dependencies: { arkor: "file:arkor.tgz" },
      devDependencies: { zod: "^4" },
    };
    const project = new Project({
      "package.json": JSON.stringify(mine, null, 4),
      ".gitignore": "dist\n/node_modules",
      "src/arkor/trainer.ts": "// mine",
      "arkor.config.ts": "// mine",
      "tsconfig.json": "// mine",
    });
    const { stdout } = await init(project);
    expect(stdout).toContain("Kept src/arkor/trainer.ts\n");
    for (const file of ["src/arkor/trainer.ts", "arkor.config.ts", "tsconfig.json"]) {
      expect(project.read(file)).toBe("// mine");
    }
    expect(manifestOf(project)).toEqual({
      ...mine,
      scripts: {
        ...mine.scripts,
        dev: "arkor dev",
        start: "arkor start",
        "train:local": "arkor start --local",
        typecheck: "tsc --noEmit",
      },
      allowScripts: { esbuild: false },
      devDependencies: { "@types/node": "^20", typescript: "^5.9", zod: "^4" },
    });
    expect(project.read("package.json")).toMatch(/^ {4}"name"/m);
    expect(project.read(".gitignore")).toBe(
      "dist\n/node_modules\n.arkor/\n.env\n.env.local\n/model/\n",
    );
  });

  it("changes a linked package.json where it lies, and leaves its permissions as they are", async () => {
    const project = new Project({ "package.json": "{}" });
    renameSync(project.path("package.json"), project.path("real.json"));
    chmodSync(project.path("real.json"), 0o600);
    symlinkSync("real.json", project.path("package.json"));
    const { stdout } = await init(project);
    expect(stdout).toContain("Changed package.json\n");
    expect(lstatSync(project.path("package.json")).isSymbolicLink()).toBe(true);
    expect(JSON.parse(project.read("real.json")).scripts.start).toBe("arkor start");
    expect(statSync(project.path("real.json")).mode & 0o777).toBe(0o600);
  });

  it("is nothing the second time", async () => {
    const project = new Project();
    await init(project, "--agents-md");
    const names = ["package.json", ".gitignore", "AGENTS.md", "README.md"];
    const before = names.map((file) => project.read(file));
    const { code, stdout } = await init(project, "--agents-md");
    expect(code).toBe(0);
    expect(stdout.match(/^(Created|Changed) .*$/gm)).toBe(null);
    expect(names.map((file) => project.read(file))).toEqual(before);
  });

  it("has a name that npm takes, made of the directory's", async () => {
    const project = new Project();
    await init(project);
    expect(manifestOf(project).name).toBe(path.basename(project.cwd).toLowerCase());
  });
});

describe("the package manager", () => {
  it.each([
    ["the project's lock file", { "pnpm-lock.yaml": "" }, {}, "pnpm"],
    ["the one that runs it", {}, { npm_config_user_agent: "yarn/1.22.0 npm/? node/v20" }, "yarn"],
    ["npm", {}, {}, "npm"],
  ])("is by %s", async (_, files, env, manager) => {
    const project = new Project(files as Record<string, string>);
    const at = project.at(undefined, { npm_config_user_agent: undefined, ...env });
    const { stdout } = await arkor(["init", "-y", "--skip-install"], at).exit;
    expect(stdout).toContain(`\n  ${manager} install\n`);
  });

  it("that fails is an error after the files are there", async () => {
    const project = new Project();
    project.write("npm", "#!/bin/sh\necho no network >&2\nexit 7\n");
    const { chmodSync } = await import("node:fs");
    chmodSync(project.path("npm"), 0o755);
    const at = project.at(undefined, { PATH: `${project.cwd}:${process.env.PATH}` });
    const { code, stdout, stderr } = await arkor(["init", "-y", "--use-npm"], at).exit;
    expect(code).toBe(1);
    expect(stdout).toContain("Created src/arkor/index.ts\n");
    expect(stderr).toBe(
      "no network\nerror: The project was created, but not installed: npm install exited with code 7. " +
        "Fix that, then run it again.\n",
    );
  });
});

describe("is refused before anything is written", () => {
  it.each([
    [["--name", "My Run"], {}, /^error: --name "My Run": A name consists of a-z/],
    [
      ["--template", "chess"],
      {},
      /argument 'chess' is invalid\. Allowed choices are triage, translate, redaction\./,
    ],
    [["--use-npm", "--use-bun"], {}, /^error: --use-npm and --use-bun can't be used together\.$/],
    [["--git", "--skip-git"], {}, /^error: --git and --skip-git can't be used together\.$/],
    [
      [],
      { "package.json": "{" },
      /^error: package\.json isn't valid JSON \(.*\)\. Fix it, then run this again\.$/,
    ],
    [[], { "package.json": "[]" }, /^error: package\.json isn't an object\./],
    [
      [],
      { data: "mine" },
      /^error: data isn't a directory, which data\/triage\.heldout\.jsonl needs\. Move it away, then run this again\.$/,
    ],
    ...[".gitignore", "package.json", "arkor.config.ts"].map(
      (file): [string[], Record<string, string>, RegExp] => [
        [],
        { [`${file}/mine`]: "" },
        new RegExp(`^error: ${file} is a directory, but has to be a file\\. Move it away`),
      ],
    ),
  ])("with %j and %j", async (args, files, message) => {
    const project = new Project(files as Record<string, string>);
    const before = readdirSync(project.cwd).sort();
    const { code, stdout, stderr } = await init(project, ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr.trimEnd().split("\n")).toEqual([expect.stringMatching(message)]);
    expect(project.has("src")).toBe(false);
    expect(readdirSync(project.cwd).sort()).toEqual(before);
  });

  it("with a package.json that is a link to nothing, which stays one", async () => {
    const project = new Project();
    const link = path.join(project.cwd, "package.json");
    rmSync(link, { force: true });
    symlinkSync("elsewhere.json", link);
    const { code, stdout, stderr } = await init(project);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^error: package\.json is a link to a file that doesn't exist\. Fix/);
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(project.has("src")).toBe(false);
  });
});
