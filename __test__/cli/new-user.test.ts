// As a new user would: an empty folder, the packed tarballs installed, then `arkor init -y` and
// `arkor start --local --dry-run`.
import { readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { ROOT, run } from "../support/command.ts";
import { Project } from "../support/project.ts";
import { pack } from "../support/tarballs.ts";

const PNPM = [process.execPath, path.join(ROOT, "node_modules/pnpm/bin/pnpm.cjs")];

it.each([
  ["npm", { add: ["npm", "install"], exec: ["npx"] }],
  ["pnpm", { add: [...PNPM, "add"], exec: [...PNPM, "exec"] }],
])(
  "ends with a trained adapter, with %s",
  async (manager, { add, exec }) => {
    const project = new Project();
    rmSync(project.path("node_modules"), { recursive: true });
    // `arkor init` calls the package manager by its name.
    const PATH = `${path.join(ROOT, "node_modules/.bin")}${path.delimiter}${process.env.PATH}`;
    const at = {
      cwd: project.cwd,
      env: { PATH, npm_config_prefer_offline: "true", ARKOR_LOCAL_TOKEN: undefined },
    };
    const execute = async ([program = "", ...args]: string[]) => {
      const ended = await run(program, args, at).exit;
      expect(ended, `${program} ${args.join(" ")}:\n${ended.stdout}${ended.stderr}`).toMatchObject({
        code: 0,
      });
      return ended;
    };
    await execute([...add, ...pack()]);

    const init = await execute([...exec, "arkor", "init", "-y"]);
    expect(init.stdout).toContain(`Installed with ${manager}\n`);
    const { stdout, stderr } = await execute([...exec, "arkor", "start", "--local", "--dry-run"]);
    // As a command that the user's shell finds.
    const called = manager === "npm" ? "npx" : "pnpm exec";
    expect(stderr).toMatch(new RegExp(`^ {2}all runs {2}${called} arkor jobs$`, "m"));
    const [, adapter = ""] = stdout.match(/^Adapter: (.*)$/m) ?? [];
    expect(readdirSync(project.path(adapter)).sort()).toEqual(
      expect.arrayContaining(["adapter_config.json", "adapter_model.safetensors"]),
    );
    await execute([...exec, "tsc"]);
  },
  240_000,
);
