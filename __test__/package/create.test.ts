// `npm create arkor` from an empty directory to a project that is installed, type-checked and built, from
// a registry on 127.0.0.1 that needs no network. `npm run try -- --managers` does the same with the
// package managers that aren't here.
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { execute } from "../../scripts/try/project.mjs";
import { startRegistry } from "../../scripts/try/registry.mjs";
import { pack, ROOT, temporaryDirectory } from "../support/packed.ts";

const PNPM = path.join(ROOT, "node_modules/pnpm/bin/pnpm.cjs");

let registry: Awaited<ReturnType<typeof startRegistry>>;
beforeAll(async () => {
  const installed = path.join(ROOT, "node_modules");
  registry = await startRegistry(pack().dist, { installed });
  afterAll(() => registry.close());
});

it.each([
  ["npm", ["npm"], ["--yes", "arkor", "--", "my-app"]],
  ["pnpm", [process.execPath, PNPM], ["arkor", "my-app"]],
])(
  "%s create arkor my-app",
  async (name, program, args) => {
    const [home, work] = [temporaryDirectory(), temporaryDirectory()];
    // Remove the variables that the npm that runs the tests has set.
    const inherited = Object.keys(process.env).filter((one) => /^npm_/i.test(one));
    const env = {
      ...Object.fromEntries(inherited.map((one) => [one, undefined])),
      HOME: home,
      USERPROFILE: home,
      CI: undefined,
      NO_PROXY: "127.0.0.1",
      npm_config_registry: registry.url,
      npm_config_audit: "false",
      // `arkor init` calls the package manager by its name.
      PATH: `${path.join(ROOT, "node_modules/.bin")}${path.delimiter}${process.env.PATH}`,
    };
    const call = async (cwd: string, ...rest: string[]) => {
      const result = await execute(cwd, [...program, ...rest], env);
      expect(result.code, result.output).toBe(0);
      return result.output;
    };
    const output = await call(work, "create", ...args, "--yes");
    const project = output.slice(output.indexOf("Created package.json"));
    expect(project).toContain(`Installed with ${name}\n`);
    expect(project).toContain("Next:\n  cd my-app\n");
    expect(project).not.toMatch(/allowScripts|Ignored build scripts/);
    const app = path.join(work, "my-app");
    await call(app, "run", "typecheck");
    await call(app, "run", "build");
    expect(readFileSync(path.join(app, ".arkor/build/index.mjs"), "utf8")).toContain(
      "createTrainer",
    );
  },
  120_000,
);
