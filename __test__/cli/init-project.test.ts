// `arkor init [dir]`: the directory that it makes, what it tells people and coding agents there, and the
// first commit.
import { mkdirSync, readdirSync, symlinkSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { arkor, run } from "../support/command.ts";
import { Project } from "../support/project.ts";

const init = (project: Project, ...args: string[]) =>
  arkor(["init", "-y", "--skip-install", ...args], project.at(undefined)).exit;

const git = async (project: Project, ...args: string[]) =>
  (await run("git", args, project.at(undefined)).exit).stdout;

describe("the directory", () => {
  it("is made, with those above it, and gives the project its name", async () => {
    const project = new Project();
    const { code, stdout } = await init(project, "apps/My App");
    expect(code).toBe(0);
    expect(JSON.parse(project.read("apps/My App/package.json")).name).toBe("my-app");
    expect(stdout).toContain('\nNext:\n  cd "apps/My App"\n  npm install\n  npm run train:local ');
    expect(project.has("src")).toBe(false);
  });

  it("is the current one with `.`", async () => {
    const project = new Project();
    const { stdout } = await init(project, ".");
    expect(project.has("src/arkor/index.ts")).toBe(true);
    expect(stdout).not.toContain("  cd ");
  });

  it.each([
    ["a file", "taken", /^error: taken isn't a directory\. Name another directory, or move it/],
    ["one in a file", "taken/app", /^error: .*\/taken isn't a directory\. Name another/],
    ["a link to nothing", "loose", /^error: loose isn't a directory\. Name another/],
  ])("is refused when it is %s", async (_, directory, message) => {
    const project = new Project({ taken: "mine" });
    symlinkSync("nowhere", project.path("loose"));
    const before = readdirSync(project.cwd);
    const { code, stdout, stderr } = await init(project, directory);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(message);
    expect(readdirSync(project.cwd)).toEqual(before);
    expect(project.read("taken")).toBe("mine");
  });

  it("isn't made when something else is wrong", async () => {
    const project = new Project();
    const { code } = await init(project, "app", "--name", "Not A Name");
    expect(code).toBe(1);
    expect(project.has("app")).toBe(false);
  });
});

describe("a second template", () => {
  it("is refused off a terminal, before anything is written", async () => {
    const project = new Project();
    await init(project, "--template", "translate");
    const before = readdirSync(project.path("data"));
    const { code, stdout, stderr } = await init(project, "--template", "redaction");
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(
      /^error: This project has the template translate already \(data\/translate\S*\)\. Make another project: arkor init my-redaction --template redaction\n$/,
    );
    expect(readdirSync(project.path("data"))).toEqual(before);
  });

  it("is seen without its data, by files that were left as they were", async () => {
    const project = new Project();
    await init(project, "--template", "translate");
    await run("rm", ["-r", project.path("data")], project).exit;
    const { code, stderr } = await init(project, "--template", "redaction");
    expect(code).toBe(1);
    expect(stderr).toContain("This project has the template translate already (");
  });

  it("isn't asked for when none is named: the project's own is completed", async () => {
    const project = new Project();
    await init(project, "--template", "translate");
    const { code, stdout } = await init(project);
    expect(code).toBe(0);
    expect(stdout).not.toMatch(/^Created /m);
  });
});

describe("the README", () => {
  it.each([
    ["npm", "npm run train:local", "npx arkor chat"],
    ["pnpm", "pnpm train:local", "pnpm exec arkor chat"],
    ["yarn", "yarn train:local", "yarn arkor chat"],
    ["bun", "bun run train:local", "bunx arkor chat"],
  ])("has the commands as %s takes them", async (manager, script, program) => {
    const project = new Project();
    const { stdout } = await init(project, `--use-${manager}`, "--template", "redaction");
    const readme = project.read("README.md");
    expect(readme).toContain(`\n${manager} install\n${script}\n${program} -m "…"\n`);
    expect(readme).toContain("made from the template redaction: ");
    expect(readme).toContain("[Your own CSV](node_modules/arkor/docs/data-formats.md#csv)");
    expect(stdout).toMatch(new RegExp(`\\n {2}${script} {4,}train on this machine\\n`));
  });

  it("is left out for one that the project has, however it's spelled", async () => {
    const project = new Project({ "readme.txt": "mine" });
    const { stdout } = await init(project);
    expect(stdout).toContain("Kept readme.txt\n");
    expect(project.read("readme.txt")).toBe("mine");
    expect(project.has("README.md")).toBe(false);
  });

  it("calls the command where the project's script of that name is another one", async () => {
    const mine = { name: "mine", scripts: { dev: "vite", "train:local": "python train.py" } };
    const project = new Project({ "package.json": JSON.stringify(mine) });
    const { stdout } = await init(project);
    expect(stdout).toContain("\n  npx arkor start --local ");
    expect(stdout).toContain("\n  npx arkor dev ");
    expect(project.read("README.md")).toContain("| `npm run typecheck` |");
  });
});

describe("AGENTS.md", () => {
  it("is written with --agents-md only", async () => {
    const project = new Project();
    await init(project);
    await init(project, "--no-agents-md");
    expect(project.has("AGENTS.md")).toBe(false);
    expect((await init(project, "--agents-md")).stdout).toContain("Created AGENTS.md\n");
    const text = project.read("AGENTS.md");
    expect(text).toMatch(/^<!-- arkor:begin -->\n[\s\S]*\n<!-- arkor:end -->\n$/);
    expect(text).toContain("`npx arkor start --local --dry-run`");
  });

  it("points to files that the package has", async () => {
    const project = new Project();
    await init(project, "--agents-md");
    const named = project.read("AGENTS.md").match(/node_modules\/arkor\/[\w./-]+/g) ?? [];
    expect(named).toHaveLength(2);
    for (const file of named) expect(project.has(file)).toBe(true);
  });

  it("keeps what is there: the block is added once, and never changed", async () => {
    const project = new Project({ "AGENTS.md": "# Ours\r\nBe nice." });
    expect((await init(project, "--agents-md")).stdout).toContain("Changed AGENTS.md\n");
    const text = project.read("AGENTS.md");
    expect(text).toMatch(/^# Ours\r\nBe nice\.\r\n\r\n<!-- arkor:begin -->\r\n/);
    expect(text.replaceAll("\r\n", "")).not.toContain("\n");
    const edited = text.replace("## arkor", "## arkor, our way");
    project.write("AGENTS.md", edited);
    const { stdout } = await init(project, "--agents-md", "--use-pnpm");
    expect(stdout).toContain("Kept AGENTS.md\n");
    expect(project.read("AGENTS.md")).toBe(edited);
  });

  it("that isn't a file ends it before anything is written", async () => {
    const project = new Project({ "AGENTS.md/mine": "" });
    const { code, stderr } = await init(project, "--agents-md");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: AGENTS\.md is a directory, but has to be a file\./);
    expect(project.has("package.json")).toBe(false);
  });
});

describe("git", () => {
  const IDENTITY = "[user]\n\tname = A User\n\temail = user@arkor.test\n";

  /** A user with this `.gitconfig`, which may lack a name and an email. */
  function user(config: string, files: Record<string, string> = {}) {
    const project = new Project(files);
    const at = path.join(project.home, ".gitconfig");
    project.write(path.relative(project.cwd, at), config);
    const env = {
      GIT_CONFIG_GLOBAL: at,
      GIT_CONFIG_NOSYSTEM: "1",
      ...Object.fromEntries(
        ["AUTHOR", "COMMITTER"].flatMap((who) => [
          [`GIT_${who}_NAME`, undefined],
          [`GIT_${who}_EMAIL`, undefined],
        ]),
      ),
      EMAIL: undefined,
    };
    const start = (...args: string[]) =>
      arkor(["init", "-y", "--skip-install", "--git", ...args], project.at(undefined, env)).exit;
    return { project, start };
  }

  it("commits what was written, and nothing else that lies there", async () => {
    const { project, start } = user(IDENTITY, { "secret.txt": "mine", ".env": "TOKEN=1" });
    const { code, stdout, stderr } = await start("--use-yarn");
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("Created a git repository, with a first commit\n");
    const files = (await git(project, "ls-files")).trim().split("\n");
    expect(files).toEqual(expect.arrayContaining(["package.json", "README.md", "yarn.lock"]));
    expect(files).not.toContain("secret.txt");
    expect(await git(project, "log", "--format=%an %s")).toBe("A User Start with arkor\n");
    expect(await git(project, "status", "--porcelain")).toBe("?? secret.txt\n");
  });

  it("leaves out what the project has git ignore", async () => {
    const { project, start } = user(IDENTITY, { ".gitignore": "data/\n" });
    expect((await start()).stderr).toBe("");
    const files = (await git(project, "ls-files")).trim().split("\n");
    expect(files).toContain("package.json");
    expect(files).not.toContain("data/triage.jsonl");
  });

  it("makes up no author: without one, the repository has no commit yet", async () => {
    const { project, start } = user("");
    const { code, stdout, stderr } = await start();
    expect(code).toBe(0);
    expect(stdout).toContain("Created a git repository\n");
    expect(stderr).toBe(
      "warning: The first commit couldn't be made: git doesn't know your name and e-mail address: " +
        "set user.name and user.email, then run `git commit`\n",
    );
    expect(await git(project, "diff", "--cached", "--name-only")).toContain("package.json\n");
  });

  it("says why when a hook refuses the commit", async () => {
    const { project, start } = user(`${IDENTITY}[init]\n\ttemplateDir = template\n`);
    project.write("template/hooks/pre-commit", "#!/bin/sh\necho 'not today' >&2\nexit 1\n");
    await run("chmod", ["+x", project.path("template/hooks/pre-commit")], project).exit;
    const { code, stderr } = await start();
    expect(code).toBe(0);
    expect(stderr).toBe("warning: The first commit couldn't be made: not today\n");
  });

  it("makes no repository in another one", async () => {
    const { project, start } = user(IDENTITY);
    await git(project, "init", "--quiet");
    mkdirSync(project.path("packages"));
    const { code, stderr } = await start("packages/app");
    expect(code).toBe(0);
    expect(stderr).toBe("note: This is in a git repository already, so none was created.\n");
    expect(project.has("packages/app/.git")).toBe(false);
  });

  it("that isn't installed is an error before anything is written", async () => {
    const project = new Project();
    const at = project.at(undefined, { PATH: project.cwd });
    const { code, stderr } = await arkor(["init", "app", "-y", "--git"], at).exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: --git: git couldn't be started: .*Install it, or leave/);
    expect(project.has("app")).toBe(false);
  });
});
