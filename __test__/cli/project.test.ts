// Which directory a command works in, and with which environment.
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Backend, json } from "../support/backend.ts";
import { arkor } from "../support/command.ts";
import { handMadeTrainer, Project } from "../support/project.ts";

const ENTRY = "src/arkor/index.ts";
const SAYING = (expression: string) => handMadeTrainer({ start: `console.log(${expression})` });

describe(".env", () => {
  const printed = async (project: Project, env: Record<string, string | undefined> = {}) => {
    const { stdout } = await arkor(["start"], { cwd: project.cwd, env }).exit;
    return JSON.parse(stdout.split("\n")[0] ?? "");
  };
  const NAMES = SAYING("JSON.stringify([process.env.ONE, process.env.TWO, process.env.THREE])");

  it("was not read; .env.local comes before it, and what is set before both", async () => {
    const project = new Project({
      [ENTRY]: NAMES,
      ".env": `ONE=env\nTWO=env\nTHREE="of two\nlines"\n`,
      ".env.local": "ONE=local\nTWO=local\n",
    });
    expect(await printed(project, { ONE: "set" })).toEqual(["set", "local", "of two\nlines"]);
  });

  it("does not replace a variable that is set to nothing", async () => {
    const project = new Project({ [ENTRY]: NAMES, ".env": "ONE=env\nTWO=env" });
    expect(await printed(project, { ONE: "" })).toEqual(["", "env", null]);
  });

  it("says where the backend is, for commands without an entry too", async () => {
    const backend = await Backend.start();
    backend.on("GET /v1/jobs", (_, response) => json(response, 200, { jobs: [] }));
    const project = new Project({
      ".env": `ARKOR_CLOUD_API_URL=${backend.url}\nARKOR_LOCAL_TOKEN=from-the-file\n`,
    });
    const { code } = await arkor(["jobs"], project.at(undefined)).exit;
    expect(code).toBe(0);
    expect(backend.to("GET /v1/jobs")[0]?.headers.authorization).toBe("Bearer from-the-file");
  });

  it("hung the command when it is a pipe", async () => {
    const project = new Project({ [ENTRY]: handMadeTrainer() });
    execFileSync("mkfifo", [project.path(".env")]);
    const { code, stderr } = await arkor(["start"], project).exit;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `error: ${project.path(".env")} is not a regular file\n`,
    });
  });

  it("may be the directory of a Python environment", async () => {
    const project = new Project({ [ENTRY]: handMadeTrainer(), ".env/pyvenv.cfg": "" });
    expect((await arkor(["start"], project).exit).code).toBe(0);
  });
});

describe("from a directory below", () => {
  it.each(["src", "src/arkor", "data/deep"])(
    "%s, the project above was not found",
    async (directory) => {
      const project = new Project({ [ENTRY]: SAYING("process.cwd()"), ".env": "" });
      mkdirSync(project.path(directory), { recursive: true });
      const { code, stdout, stderr } = await arkor(["start"], { cwd: project.path(directory) })
        .exit;
      expect(stdout).toMatch(new RegExp(`^${project.cwd}\n`));
      expect(stderr).toBe(`Using the project in ${project.cwd}\n`);
      expect(code).toBe(0);
      expect(project.has(`${directory}/.arkor`)).toBe(false);
    },
  );

  it("an entry is named from there", async () => {
    const project = new Project({ [ENTRY]: SAYING(`"default"`), "lab/exp.ts": SAYING(`"exp"`) });
    const { stdout } = await arkor(["start", "exp.ts"], { cwd: project.path("lab") }).exit;
    expect(stdout).toMatch(/^exp\n/);
  });

  it("the error named src/src when the entry is missing", async () => {
    const project = new Project({ "src/arkor/trainer.ts": handMadeTrainer() });
    const { code, stderr } = await arkor(["start"], { cwd: project.path("src") }).exit;
    expect(code).toBe(1);
    expect(stderr).toContain(`error: Build entry not found: ${project.path(ENTRY)}. `);
  });

  it("the nearest project is taken", async () => {
    const outer = new Project({
      "package.json": JSON.stringify({ devDependencies: { arkor: "*" } }),
      [ENTRY]: SAYING(`"outer"`),
      [`packages/inner/${ENTRY}`]: SAYING(`"inner"`),
    });
    const { stdout } = await arkor(["start"], { cwd: outer.path("packages/inner/src") }).exit;
    expect(stdout).toMatch(/^inner\n/);
  });

  it("a project in the home directory is not that of all below it", async () => {
    const home = new Project({ [ENTRY]: SAYING(`"of the home directory"`), "work/exp.ts": "" });
    const env = { HOME: home.cwd, USERPROFILE: home.cwd };
    const { code, stderr } = await arkor(["start"], { cwd: home.path("work"), env }).exit;
    expect(code).toBe(1);
    expect(stderr).toContain(home.path("work/src/arkor/index.ts"));
  });
});
