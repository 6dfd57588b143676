// What `arkor init` writes for each package manager. `npm run try -- --managers` tries it with them.
import { chmodSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { arkor } from "../support/command.ts";
import { Project } from "../support/project.ts";

function init(project: Project, args: string[], env: Record<string, string> = {}) {
  const at = project.at(undefined, { npm_config_user_agent: undefined, ...env });
  return arkor(["init", "-y", "--skip-install", ...args], at).exit;
}

const manifestOf = (project: Project, directory = ".") =>
  JSON.parse(project.read(`${directory}/package.json`));

/** The settings for install scripts, and the files that only one of the package managers uses. */
function rulesOf(project: Project) {
  const { allowScripts, dependenciesMeta, trustedDependencies, pnpm } = manifestOf(project);
  const files = ["pnpm-workspace.yaml", ".yarnrc.yml", "yarn.lock", "bunfig.toml", ".npmrc"];
  return {
    ...Object.fromEntries(
      Object.entries({ allowScripts, dependenciesMeta, trustedDependencies, pnpm }).filter(
        ([, value]) => value !== undefined,
      ),
    ),
    ...Object.fromEntries(
      files.filter((file) => project.has(file)).map((file) => [file, project.read(file)]),
    ),
  };
}

const NODE_MODULES = { ".yarnrc.yml": "nodeLinker: node-modules\n", "yarn.lock": "" };

describe("esbuild's install script", () => {
  it.each([
    ["npm", { allowScripts: { esbuild: false } }],
    [
      "pnpm",
      {
        "pnpm-workspace.yaml":
          "# esbuild works without its install script.\nallowBuilds:\n  esbuild: false\n",
      },
    ],
    ["yarn", { dependenciesMeta: { esbuild: { built: false } }, ...NODE_MODULES }],
    ["bun", {}],
  ])("is denied as %s wants it, and nowhere else", async (manager, rules) => {
    const project = new Project();
    const { code, stderr } = await init(project, [`--use-${manager}`]);
    expect(code).toBe(0);
    expect(rulesOf(project)).toEqual(rules);
    expect(stderr).toBe(
      manager === "bun"
        ? "note: Bun will say that it blocked a postinstall. It's esbuild's, which isn't needed.\n"
        : "",
    );
  });

  it.each([
    ["npm", { allowScripts: { esbuild: true } }],
    ["pnpm", { "pnpm-workspace.yaml": "allowBuilds:\n  esbuild: true\n" }],
    ["yarn", { dependenciesMeta: { esbuild: { built: true } }, ...NODE_MODULES }],
    ["bun", { trustedDependencies: ["esbuild"] }],
  ])("is allowed with --allow-builds, with %s", async (manager, rules) => {
    const project = new Project();
    const { code, stderr } = await init(project, [`--use-${manager}`, "--allow-builds"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(rulesOf(project)).toEqual(rules);
  });

  it.each([
    ["npm", { allowScripts: { esbuild: true, sharp: true } }],
    ["yarn", { dependenciesMeta: { esbuild: { built: true, unplugged: true } } }],
  ])("keeps the project's own answer, with %s", async (manager, mine) => {
    const project = new Project({ "package.json": JSON.stringify(mine) });
    await init(project, [`--use-${manager}`]);
    expect(manifestOf(project)).toMatchObject(mine);
  });

  it("is added to what the project trusts", async () => {
    const mine = { trustedDependencies: ["sharp"] };
    const project = new Project({ "package.json": JSON.stringify(mine) });
    await init(project, ["--use-bun", "--allow-builds"]);
    expect(manifestOf(project).trustedDependencies).toEqual(["sharp", "esbuild"]);
  });

  it("is left to the user in a pnpm-workspace.yaml of his own", async () => {
    const mine = "allowBuilds:\n  sharp: true\ncatalog:\n  esbuild: ^0.28.2\n";
    const project = new Project({ "pnpm-workspace.yaml": mine });
    const { code, stderr } = await init(project, ["--use-pnpm"]);
    expect(code).toBe(0);
    expect(stderr).toBe(
      "note: pnpm asks about esbuild's install script. To answer it, set " +
        `allowBuilds.esbuild to false in ${project.path("pnpm-workspace.yaml")}\n`,
    );
    expect(project.read("pnpm-workspace.yaml")).toBe(mine);
  });

  it.each(["allowBuilds:\n  esbuild: true\n", "ignoredBuiltDependencies:\n  - esbuild\n"])(
    "isn't mentioned where the user has answered: %j",
    async (mine) => {
      const project = new Project({ "pnpm-workspace.yaml": mine });
      expect(await init(project, ["--use-pnpm"])).toMatchObject({ code: 0, stderr: "" });
    },
  );

  it.each(["allowScripts", "dependenciesMeta"])("is no reason to lose %s", async (field) => {
    const project = new Project({ "package.json": JSON.stringify({ [field]: [] }) });
    const { code, stderr } = await init(project, ["--use-npm"]);
    expect(code).toBe(1);
    expect(stderr).toBe(
      `error: "${field}" in package.json isn't an object. Fix it, then run this again.\n`,
    );
  });
});

describe("in a workspace", () => {
  const WORKSPACES = { workspaces: ["packages/*"], devDependencies: { esbuild: "^0.28.2" } };

  it.each([
    ["pnpm", "pnpm-workspace.yaml", "packages: [packages/*]\n", "allowBuilds.esbuild"],
    ["npm", "package.json", JSON.stringify(WORKSPACES), "allowScripts.esbuild"],
    ["yarn", "package.json", JSON.stringify(WORKSPACES), "dependenciesMeta.esbuild.built"],
  ])("of %s, its settings are where the user makes them", async (manager, file, text, setting) => {
    const project = new Project({ [file]: text });
    const { code, stderr } = await init(project, ["packages/app", `--use-${manager}`]);
    expect(code).toBe(0);
    expect(stderr).toBe(
      `note: ${manager} asks about esbuild's install script. To answer it, set ${setting} to false in ${project.path(file)}\n`,
    );
    expect(project.read(file)).toBe(text);
    expect(manifestOf(project, "packages/app")).not.toHaveProperty("allowScripts");
    for (const own of ["pnpm-workspace.yaml", ".yarnrc.yml", "yarn.lock"]) {
      expect(project.has(`packages/app/${own}`)).toBe(false);
    }
  });

  it("that has answered, there is nothing to say", async () => {
    const answered = { ...WORKSPACES, allowScripts: { esbuild: false } };
    const project = new Project({ "package.json": JSON.stringify(answered) });
    const { code, stderr } = await init(project, ["packages/app", "--use-npm"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });
});

describe("Yarn", () => {
  it.each(["yarn.lock", ".yarnrc.yml", ".pnp.cjs"])(
    "stays as it is set up in a project that has %s",
    async (file) => {
      const project = new Project({ [file]: "" });
      await init(project, ["--use-yarn"]);
      const made = [".yarnrc.yml", "yarn.lock", ".pnp.cjs"].filter((one) => project.has(one));
      expect(made).toEqual([file]);
    },
  );

  it("gets its state ignored by git", async () => {
    const project = new Project();
    await init(project, ["--use-yarn"]);
    expect(project.read(".gitignore")).toContain("\n.yarn/install-state.gz\n");
  });
});

describe("the package manager is", () => {
  const LOCK = { "package-lock.json": "{}" };
  const PNPM = { npm_config_user_agent: "pnpm/11.28.11 npm/? node/v24.21.0 linux x64" };

  it.each([
    ["the one that runs it, whatever lies above", LOCK, "app", PNPM, "pnpm"],
    ["that of the directory above, if nothing runs it", LOCK, "app", {}, "npm"],
    ["that of the project itself, whatever runs it", LOCK, ".", PNPM, "npm"],
    [
      "that of the workspace, whatever runs it",
      { "package.json": '{ "workspaces": ["app"] }', "bun.lock": "{}" },
      "app",
      PNPM,
      "bun",
    ],
  ])("%s", async (_, files, directory, env, manager) => {
    const project = new Project(files as Record<string, string>);
    const { stdout } = await init(project, [directory], env);
    expect(stdout).toContain(`\n  ${manager} install\n`);
  });

  it("told to install what a project needs for development, and a lock file that it may change", async () => {
    const project = new Project();
    project.write("yarn", '#!/bin/sh\necho "$NODE_ENV $YARN_ENABLE_IMMUTABLE_INSTALLS" >&2\n');
    chmodSync(project.path("yarn"), 0o755);
    const at = project.at(undefined, {
      PATH: `${project.cwd}:${process.env.PATH}`,
      NODE_ENV: "production",
    });
    const { stderr } = await arkor(["init", "app", "-y", "--use-yarn"], at).exit;
    expect(stderr).toBe("development false\n");
  });
});
