// The flags that choose the engine of a local backend: what `arkor-local` is started with, and what is
// refused before it is. Scripts stand in for it and for Python.
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { Backend, json } from "../support/backend.ts";
import { ROOT } from "../support/command.ts";
import { LOCK, Machine } from "../support/engine.ts";
import { handMadeTrainer } from "../support/project.ts";

const ENTRY = { "src/arkor/index.ts": handMadeTrainer() };
const { version } = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8"));

/** A machine with a project, where the torch engine is installed with these flags. */
async function withTorch(...flags: string[]) {
  const machine = new Machine(["uv", "python3"], ENTRY);
  await machine.install(["--cuda", ...flags]).exit;
  machine.forgetCalls();
  return machine;
}

type Env = Record<string, string | undefined>;

/** The arguments for the stand-in for `arkor-local` that choose the engine. */
async function given(machine: Machine, flags: string[], env: Env = {}) {
  const { code, stderr } = await machine.run(["start", "--local", ...flags], env).exit;
  expect(code, stderr).toBe(0);
  const all = JSON.parse(stderr.match(/fake: (\{.*\})/)?.[1] ?? "{}");
  const { port, store, "with-parent": _, ...engine } = all;
  return { engine, stderr };
}

const python = (machine: Machine) => path.join(machine.place(), "bin/python");

describe("without the torch engine", () => {
  it.each([
    [[], {}, { engine: "auto" }],
    [["--engine", "cpu"], {}, { engine: "cpu" }],
    [[], { ARKOR_ENGINE: "cpu" }, { engine: "cpu" }],
    [["--engine", "auto"], { ARKOR_ENGINE: "torch" }, { engine: "auto" }],
    [["--max-failures", "2"], {}, { engine: "auto", "max-failures": "2" }],
    [["--memory", "4GB"], {}, { engine: "auto", memory: "4GB" }],
  ])("%j with %j: %j", async (flags, env, expected) => {
    const { engine } = await given(new Machine([], ENTRY), flags, env);
    expect(engine).toEqual(expected);
  });

  it.each([
    [["--engine", "torch"], {}],
    [[], { ARKOR_ENGINE: "torch" }],
    [["--workers", "2"], {}],
  ])("%j with %j says how to install it", async (flags, env) => {
    const machine = new Machine([], ENTRY);
    const { code, stdout, stderr } = await machine.run(["start", "--local", ...flags], env).exit;
    expect({ code, stdout, stderr }).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "error: The torch engine isn't installed. Install it with: arkor engine install torch\n",
    });
  });
});

describe("with the torch engine", () => {
  it.each([["auto"], ["torch"]])("--engine %s hands on its Python and its worker", async (name) => {
    const machine = await withTorch();
    const { engine } = await given(machine, ["--engine", name]);
    expect(engine).toEqual({
      engine: name,
      worker: python(machine),
      "worker-arg": [machine.worker],
    });
    // The engine was checked at installation, so nothing else is run.
    expect(machine.calls).toEqual([]);
  });

  it("--engine cpu hands on neither", async () => {
    const { engine } = await given(await withTorch(), ["--engine", "cpu"]);
    expect(engine).toEqual({ engine: "cpu" });
  });

  it.each([
    [["--workers", "2"], ["--workers", "2"], { "max-failures": "3" }],
    [["--workers", "1"], ["--workers", "1"], {}],
    [["--workers", "2", "--max-failures", "0"], ["--workers", "2"], { "max-failures": "0" }],
    [["--vllm", "http://127.0.0.1:8000"], ["--vllm", "http://127.0.0.1:8000"], {}],
  ])("%j is for its worker: %j %j", async (flags, args, more) => {
    const machine = await withTorch();
    const { engine } = await given(machine, flags);
    expect(engine).toEqual({
      ...{ engine: "torch", ...more, worker: python(machine) },
      "worker-arg": [machine.worker, ...args],
    });
  });

  it.each([
    [["--ray", "10.0.0.1:6379"], {}, "10.0.0.1:6379"],
    [["--ray=auto"], {}, "auto"],
    [["--ray"], { RAY_ADDRESS: "head:6379" }, "head:6379"],
  ])("%j with %j joins the cluster at %s", async (flags, env, address) => {
    const machine = await withTorch("--ray");
    const { engine } = await given(machine, flags, env);
    expect(engine).toMatchObject({ engine: "torch", "max-failures": "3" });
    expect(engine["worker-arg"]).toEqual([machine.worker, "--ray", address]);
  });

  it("--ray says when it's installed without Ray", async () => {
    const machine = await withTorch();
    const { code, stderr } = await machine.run(["start", "--local", "--ray=auto"]).exit;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr:
        "error: The torch engine is installed without Ray. Add it with: arkor engine install torch --ray\n",
    });
  });

  it("of another version, it's as good as none, and that is said", async () => {
    const machine = await withTorch();
    machine.lock(`${LOCK}# changed\n`);
    const problem =
      "The torch engine that is installed is another version's. Install this one's with: arkor engine install torch\n";
    const { engine, stderr } = await given(machine, []);
    expect(engine).toEqual({ engine: "auto" });
    expect(stderr).toContain(`warning: ${problem}`);
    const refused = await machine.run(["start", "--local", "--engine", "torch"]).exit;
    expect(refused).toMatchObject({ code: 1, stderr: `error: ${problem}` });
  });
});

describe("a Python of the user's own", () => {
  it.each([
    ["torch", (file: string) => [["--python", file], {}] as const],
    ["auto", (file: string) => [[], { ARKOR_PYTHON: file }] as const],
  ])("is checked, and used with the engine %s", async (name, choose) => {
    const machine = new Machine(["python3"], ENTRY);
    const file = path.join(machine.tools, "python3");
    const [flags, env] = choose(file);
    const { engine } = await given(machine, [...flags], env);
    expect(engine).toEqual({ engine: name, worker: file, "worker-arg": [machine.worker] });
    expect(machine.calls).toEqual([{ tool: "python", args: [machine.worker, "--check"] }]);
  });

  it.each([
    ["--python", (file: string) => [["--python", file], {}] as const],
    ["ARKOR_PYTHON", (file: string) => [[], { ARKOR_PYTHON: file }] as const],
  ])("without torch is refused, named by %s", async (named, choose) => {
    const machine = new Machine(["python3"], ENTRY);
    const file = path.join(machine.tools, "python3");
    const [flags, env] = choose(file);
    const answer = { FAKE_CHECK: '{"problem":"torch is not installed"}' };
    const { code, stderr } = await machine.run(["start", "--local", ...flags], {
      ...env,
      ...answer,
    }).exit;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr:
        `Checking that ${file} can run the torch engine.\n` +
        `error: ${file} can't run the torch engine: torch is not installed. Install the packages of ` +
        `${machine.worker}/pyproject.toml there, or leave ${named} out and run: arkor engine install torch\n`,
    });
  });

  it("has to be there", async () => {
    const machine = new Machine([], ENTRY);
    const { code, stderr } = await machine.run(["start", "--local", "--python", "env/python"]).exit;
    const file = machine.project.path("env/python");
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `error: --python names a file that doesn't exist: ${file}\n`,
    });
  });
});

describe("refused", () => {
  const TORCH_FLAGS = [
    ["--python", "p"],
    ["--workers", "2"],
    ["--ray=auto"],
    ["--vllm", "http://a"],
  ];
  const ALL_FLAGS = [...TORCH_FLAGS, ["--engine", "cpu"], ["--max-failures", "1"]];
  const nameOf = (flags: string[]) => flags[0]?.replace("=auto", "");

  it.each([...ALL_FLAGS.map((flags) => ["start", ...flags]), ["dev", "--ray=auto"]])(
    "%s %s without --local",
    async (command, ...flags) => {
      const { code, stderr } = await new Machine([]).run([command, ...flags]).exit;
      const message = `error: ${nameOf(flags)} is for the local backend; add --local.\n`;
      expect({ code, stderr }).toEqual({ code: 1, stderr: message });
    },
  );

  const ENV = { ARKOR_ENGINE: "cpu" };
  it.each([
    ...TORCH_FLAGS.map(
      (flags) => ["--engine cpu", ["local", "--engine", "cpu"], flags, {}] as const,
    ),
    ["ARKOR_ENGINE=cpu", ["local"], ["--workers", "2"], ENV] as const,
    ["--engine cpu", ["start", "--local", "--engine", "cpu"], ["--workers", "2"], {}] as const,
    ["--engine cpu", ["dev", "--local", "--engine", "cpu"], ["--workers", "2"], {}] as const,
  ])("%s with %j %j", async (chosen, command, flags, env) => {
    const { code, stderr } = await new Machine([]).run([...command, ...flags], env).exit;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `error: ${nameOf([...flags])} is for the torch engine, but ${chosen} chooses the CPU engine. Leave one of them out.\n`,
    });
  });

  it.each([
    [
      ["--engine", "gpu"],
      {},
      /argument 'gpu' is invalid\. Allowed choices are auto, cpu, torch\.$/,
    ],
    [
      [],
      { ARKOR_ENGINE: "gpu" },
      /^error: ARKOR_ENGINE is "gpu"; it must be auto, cpu or torch\.$/,
    ],
    [["--workers", "0"], {}, /argument '0' is invalid\. It must be a whole number, at least 1\.$/],
    [
      ["--max-failures", "x"],
      {},
      /argument 'x' is invalid\. It must be a whole number, at least 0\.$/,
    ],
    [
      ["--memory", "lots"],
      {},
      /argument 'lots' is invalid\. It must be a size such as 4GB or 800MB\.$/,
    ],
    [
      ["--memory", "0GB"],
      {},
      /argument '0GB' is invalid\. It must be a size such as 4GB or 800MB\.$/,
    ],
    [
      ["--memory", "4GB", "--engine", "torch"],
      {},
      /^error: --memory is for the CPU engine, and this run is the torch engine's\. Leave it out\.$/,
    ],
    [
      ["--memory", "4GB", "--workers", "2"],
      {},
      /^error: --memory is for the CPU engine, and this run is the torch engine's\. Leave it out\.$/,
    ],
    [
      ["--ray", "src/entry.ts"],
      {},
      /is invalid\. It must be HOST:PORT of a cluster .*, or auto\.$/,
    ],
    [
      ["--ray=ray://head:10001"],
      {},
      /is invalid\. It must be HOST:PORT of a cluster .*, or auto\.$/,
    ],
    [
      ["--vllm", "127.0.0.1:8000"],
      {},
      /is invalid\. It must be a URL like http:\/\/127\.0\.0\.1:8000\.$/,
    ],
    [
      ["--vllm", "http://key:secret@127.0.0.1:8000"],
      {},
      /^error: --vllm has a user name or a password in it\. Set VLLM_API_KEY instead\.$/,
    ],
    [
      ["--ray"],
      {},
      /^error: --ray doesn't say which cluster to join, and RAY_ADDRESS isn't set\. Give its address: --ray=HOST:PORT$/,
    ],
  ])("%j with %j", async (flags, env, message) => {
    const { code, stdout, stderr } = await new Machine([]).run(["local", ...flags], env).exit;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr.trimEnd()).toMatch(message);
  });

  it.each(ALL_FLAGS)("%s %s when a backend serves the project already", async (...flags) => {
    const backend = await Backend.start();
    backend.on("GET /v1/me", (_, response) => json(response, 200, {}));
    const machine = new Machine([], ENTRY);
    const running = { url: backend.url, token: "t", version, pid: 7 };
    machine.project.write(".arkor/local/server.json", JSON.stringify(running));
    const { code, stderr } = await machine.run(["start", "--local", ...flags]).exit;
    const flag = nameOf(flags);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr:
        `error: ${flag} is for a local backend that starts now, but the local backend at ${backend.url} ` +
        `(process 7) serves this project already. Stop that one first, or leave ${flag} out.\n`,
    });
  });
});

describe("arkor local and arkor dev", () => {
  it.each([
    [["local"], /Ctrl-C ends it\.\n/],
    [["dev", "--local", "--port", "0"], /Arkor Studio running/],
  ])("%j take them too", async (command, ready) => {
    const machine = await withTorch();
    const running = machine.run([...command, "--workers", "2"]);
    await running.until("stdout", ready);
    const [, line] = await running.until("stderr", /fake: (\{.*\})\n/);
    expect(JSON.parse(line)).toMatchObject({
      engine: "torch",
      "worker-arg": [machine.worker, "--workers", "2"],
    });
  });
});
