// `arkor engine install torch`: which commands it runs, what it shows and what it leaves behind. Scripts
// stand in for Python, uv and nvidia-smi.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { LOCK, Machine } from "../support/engine.ts";

const failing = (step: string, ...says: string[]) => ({
  FAKE_FAILURE: JSON.stringify({ step, says }),
});
const python = (place: string) => path.join(place, "bin/python");

describe("an installation", () => {
  it("says what it installs and where, makes the environment, checks it and notes what it is", async () => {
    const machine = new Machine(["uv", "python3"]);
    const place = machine.place();
    const active = { VIRTUAL_ENV: "/somewhere" };
    const { code, stdout, stderr } = await machine.install(["--cuda"], active).exit;
    expect(code).toBe(0);
    expect(stdout.replace(/\(\d+s\)/, "(1s)")).toBe(
      `The torch engine is installed in ${place} (1s)\nPython 3.11.7, torch 2.15.0, on cpu\n`,
    );
    expect(stderr.replace(/; [\d.]+ .B are free/, "; N are free")).toBe(
      "The torch engine: torch 2.15.0, transformers 5.24.0; PyTorch's CUDA build\n" +
        `In: ${place}\n` +
        "About 3.1 MB to download and 5.7 MB on disk; N are free.\n" +
        "Making the environment.\nInstalling the packages of the lock file.\n" +
        "  Prepared 2 packages in 1s\nChecking it.\n",
    );
    const inside = ["--python", python(place)];
    const file = path.join(machine.tools, "python3");
    expect(machine.calls).toEqual([
      { tool: "uv", place, args: ["venv", "--python", file, place] },
      {
        tool: "uv",
        place,
        args: ["sync", "--frozen", "--no-dev", "--inexact", "--project", machine.worker, ...inside],
      },
      { tool: "python", args: [machine.worker, "--check"] },
    ]);
    const { installedAt, ...marker } = JSON.parse(
      readFileSync(path.join(place, "arkor.json"), "utf8"),
    );
    expect(Date.parse(installedAt)).toBeGreaterThan(0);
    expect(marker).toEqual({
      build: "cuda",
      extras: [],
      python: "3.11.7",
      packages: { torch: "2.15.0", transformers: "5.24.0" },
      device: "cpu",
    });
  });

  it("gets torch without CUDA from PyTorch's index, before the rest", async () => {
    const machine = new Machine(["uv", "python3"]);
    const { code, stderr } = await machine.install(["--cpu"]).exit;
    expect(code).toBe(0);
    expect(stderr).toContain("PyTorch's CPU build\n");
    expect(stderr).toContain("About 200 MB to download and 600 MB on disk;");
    const [, torch, rest] = machine.calls.map(({ args }) => args);
    const inside = ["--python", python(machine.place())];
    expect(torch).toEqual([
      ...["pip", "install", ...inside, "--no-deps", "--torch-backend=cpu", "torch==2.15.0"],
    ]);
    expect(rest?.slice(-4)).toEqual([
      ...["--no-install-package", "torch", "--no-install-package", "nvidia-cublas"],
    ]);
  });

  it("takes the CUDA build when nvidia-smi finds a GPU", async () => {
    const machine = new Machine(["uv", "python3", "nvidia-smi"]);
    const { code, stderr } = await machine.install().exit;
    expect(code).toBe(0);
    expect(stderr).toContain("PyTorch's CUDA build\n");
  });

  it("is done once: the second time it says where it is, and runs nothing", async () => {
    const machine = new Machine(["uv", "python3"]);
    await machine.install(["--cuda"]).exit;
    machine.forgetCalls();
    const { code, stdout, stderr } = await machine.install().exit;
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: `The torch engine is installed already, in ${machine.place()}\n`,
      stderr: "",
    });
    expect(machine.calls).toEqual([]);
  });

  it("is done again after the lock file has changed, beside the other one", async () => {
    const machine = new Machine(["uv", "python3"]);
    await machine.install(["--cuda"]).exit;
    const changed = `${LOCK}# changed\n`;
    machine.lock(changed);
    await machine.install(["--cuda"]).exit;
    expect(machine.left.map((name) => path.join(machine.engines, name))).toEqual(
      [machine.place(), machine.place(changed)].sort(),
    );
  });

  it("adds Ray to what is there", async () => {
    const machine = new Machine(["uv", "python3"]);
    await machine.install(["--cuda"]).exit;
    machine.forgetCalls();
    const { code, stderr } = await machine.install(["--ray"]).exit;
    expect(code).toBe(0);
    expect(stderr).toContain("ray 2.60.0");
    expect(stderr).toContain("About 500 kB to download and 1.5 MB on disk;");
    const [sync] = machine.calls;
    expect(sync?.args[0]).toBe("sync");
    expect(sync?.args.slice(-2)).toEqual(["--extra", "ray"]);
    const marker = JSON.parse(readFileSync(path.join(machine.place(), "arkor.json"), "utf8"));
    expect(marker.extras).toEqual(["ray"]);
  });

  it("keeps what is there when adding Ray fails", async () => {
    const machine = new Machine(["uv", "python3"]);
    await machine.install(["--cuda"]).exit;
    const failed = await machine.install(["--ray"], failing("sync", "error: no")).exit;
    expect(failed.code).toBe(1);
    expect((await machine.install().exit).stdout).toContain("is installed already");
  });

  it("starts anew where one was killed", async () => {
    const machine = new Machine(["uv", "python3"]);
    mkdirSync(path.join(machine.place(), "bin"), { recursive: true });
    writeFileSync(path.join(machine.place(), "half"), "");
    expect((await machine.install(["--cuda"]).exit).code).toBe(0);
    expect(existsSync(path.join(machine.place(), "half"))).toBe(false);
  });
});

describe("without uv", () => {
  it("gets it from PyPI, for itself alone", async () => {
    const machine = new Machine(["python3"]);
    const { code, stderr } = await machine.install(["--cuda"]).exit;
    expect(code).toBe(0);
    expect(stderr).toContain("Getting uv 0.13.9, which installs the packages.\n");
    const own = path.join(machine.engines, "uv-0.13.9");
    const [venv, pip, first] = machine.calls;
    expect(venv?.args).toEqual(["-m", "venv", own]);
    expect(pip?.args).toEqual([
      ...["-m", "pip", "install", "--disable-pip-version-check", "uv==0.13.9"],
    ]);
    expect(first).toMatchObject({ tool: "uv", cache: path.join(own, "cache") });
  });

  it("takes its own when the user's is too old", async () => {
    const machine = new Machine(["python3", "uv"]);
    const { stderr } = await machine.install(["--cuda"], { FAKE_UV_VERSION: "0.6.17" }).exit;
    expect(stderr).toContain("Getting uv 0.13.9");
  });

  it("uses the one that ARKOR_UV names", async () => {
    const machine = new Machine(["python3", "uv"]);
    const named = { ARKOR_UV: path.join(machine.tools, "uv"), PATH: "/nowhere" };
    expect((await machine.install(["--cuda"], named).exit).code).toBe(0);
    expect(machine.calls[0]?.tool).toBe("uv");
  });

  it.each([
    ["isn't uv, or can't be run", { ARKOR_UV: "/nowhere/uv" }, "/nowhere/uv"],
    ["is uv 0.6.17, which is too old", { ARKOR_UV: "uv", FAKE_UV_VERSION: "0.6.17" }, "uv"],
  ])("says that what ARKOR_UV names %s", async (problem, env, name) => {
    const machine = new Machine(["python3", "uv"]);
    const { code, stderr } = await machine.install(["--cuda"], env).exit;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `error: ARKOR_UV names ${name}, and that ${problem}. Unset it, or name uv 0.7.0 or later.\n`,
    });
  });
});

describe("Python", () => {
  const how =
    "Install one from https://www.python.org/downloads/, or install uv, which gets a Python by itself: " +
    "https://docs.astral.sh/uv/getting-started/installation/\n";

  it("is asked for when there is neither Python nor uv", async () => {
    const { code, stderr } = await new Machine([]).install(["--cuda"]).exit;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `error: The torch engine needs Python 3.11 to 3.12, and no Python was found. ${how}`,
    });
  });

  it.each(["2.7.18", "3.9.18", "3.13.1"])(
    "%s doesn't do, and without uv that is said",
    async (version) => {
      const machine = new Machine(["python3"]);
      const { code, stderr } = await machine.install(["--cuda"], { FAKE_PYTHON: version }).exit;
      const file = path.join(machine.tools, "python3");
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: `error: The torch engine needs Python 3.11 to 3.12, and ${file} is ${version}. ${how}`,
      });
      expect(machine.left).toEqual([]);
    },
  );

  it("is uv's business when there is none that does", async () => {
    const machine = new Machine(["uv"]);
    expect((await machine.install(["--cuda"]).exit).code).toBe(0);
    expect(machine.calls[0]?.args.slice(0, 3)).toEqual(["venv", "--python", ">=3.11,<3.13"]);
  });

  it("that uv can't download is told", async () => {
    const machine = new Machine(["uv"]);
    const url = "https://github.com/astral-sh/python-build-standalone/releases/download/x.tar.gz";
    const says = failing("venv", "error: Request failed", `  cause: Failed to download \`${url}\``);
    const { code, stderr } = await machine.install(["--cuda"], says).exit;
    expect(code).toBe(1);
    expect(stderr).toContain(
      `\nerror: No Python that fits was found, and uv can't download one (Request failed: Failed to download \`${url}\`). ` +
        "Install Python 3.11 or later from https://www.python.org/downloads/, then run the command again.\n",
    );
    expect(machine.left).toEqual([]);
  });

  it("that can't make environments is told with the package that mends it", async () => {
    const machine = new Machine(["python3"]);
    const says = failing("venv", "Error: ensurepip is not available.");
    const { code, stderr } = await machine.install(["--cuda"], says).exit;
    expect(code).toBe(1);
    expect(stderr).toContain(
      "error: This Python can't make environments: it has no ensurepip. On Debian and Ubuntu: apt install python3-venv.",
    );
    expect(machine.left).toEqual([]);
  });
});

describe("a failure", () => {
  const NETWORK = [
    "error: Request failed after 3 retries in 9.6s",
    "  cause: Failed to fetch: https://download.pytorch.org/whl/cpu/torch/",
    "  cause: failed to lookup address information: Name or service not known",
  ];
  const said =
    "(Request failed after 3 retries in 9.6s: failed to lookup address information: Name or service not known)";

  it("to reach PyTorch's index names the build that needs only PyPI", async () => {
    const machine = new Machine(["uv", "python3"]);
    const { code, stderr } = await machine.install(["--cpu"], failing("pip", ...NETWORK)).exit;
    expect(code).toBe(1);
    expect(stderr).toContain(
      `\nerror: PyTorch's package index, download.pytorch.org, can't be reached ${said}, and only that has this build. ` +
        "Check the network, and HTTPS_PROXY if this machine needs a proxy, then run the command again. " +
        "Or install PyPI's CUDA build, which also runs on the CPU: arkor engine install torch --cuda " +
        "(about 3.1 MB to download, 5.7 MB on disk)\n",
    );
    expect(machine.left).toEqual([]);
  });

  it.each([
    [["uv", "python3"] as const, "sync"],
    [["python3"] as const, "pip"],
  ])("with %j to reach PyPI says so", async (tools, step) => {
    const machine = new Machine([...tools]);
    const { code, stderr } = await machine.install(["--cuda"], failing(step, ...NETWORK)).exit;
    expect(code).toBe(1);
    expect(stderr).toContain(
      `\nerror: The package index can't be reached ${said}. Check the network, and HTTPS_PROXY if this ` +
        "machine needs a proxy, then run the command again. What was downloaded is kept.\n",
    );
    expect(machine.left).toEqual([]);
  });

  it("for want of space says how much is needed", async () => {
    const machine = new Machine(["uv", "python3"]);
    const full = failing(
      "sync",
      "error: Failed to install: torch",
      "  cause: No space left on device (os error 28)",
    );
    const { code, stderr } = await machine.install(["--cuda"], full).exit;
    expect(code).toBe(1);
    expect(stderr).toContain(
      `\nerror: The disk is full. The torch engine needs about 5.7 MB in ${machine.place()}. Free some space, then run the command again.\n`,
    );
    expect(machine.left).toEqual([]);
  });

  it("of another kind is told in uv's words", async () => {
    const machine = new Machine(["uv", "python3"]);
    const odd = failing("sync", "error: Failed to build torch", "  Caused by: no compiler");
    const { code, stderr } = await machine.install(["--cuda"], odd).exit;
    expect(code).toBe(1);
    expect(stderr).toContain(
      "\nerror: The torch engine couldn't be installed: uv sync ended with code 2: Failed to build torch: no compiler\n",
    );
  });

  it("and progress never show the password of a package index", async () => {
    const machine = new Machine(["uv", "python3"]);
    const url = "https://me:s3cret/with@sign@pypi.example/simple/torch/";
    const says = [`warning: ${url} is slow`, `error: Failed to fetch: ${url}`];
    const { stderr } = await machine.install(["--cuda"], failing("sync", ...says)).exit;
    expect(stderr).toContain("  warning: https://****@pypi.example/simple/torch/ is slow\n");
    expect(stderr).toContain("(Failed to fetch: https://****@pypi.example/simple/torch/)");
    expect(stderr).not.toMatch(/s3cret|sign@/);
  });

  it.each([
    ["it ended with code 1", '{"problem":"no libgomp"}', "no libgomp"],
    ["it printed no report", "nothing", "it printed no report"],
  ])("of the check is told: %s", async (_, answer, problem) => {
    const machine = new Machine(["uv", "python3"]);
    const { code, stderr } = await machine.install(["--cuda"], { FAKE_CHECK: answer }).exit;
    expect(code).toBe(1);
    expect(stderr).toContain(
      `\nerror: The torch engine was installed, but doesn't work: ${problem}\n`,
    );
    expect(machine.left).toEqual([]);
  });
});

describe("refused", () => {
  it.each([
    [["--cpu", "--cuda"], "--cpu and --cuda exclude each other; leave one out."],
    [
      ["--cuda"],
      "The torch engine is installed with PyTorch's CPU build. To replace it, run this first: arkor engine remove torch",
    ],
  ])("%j", async (args, message) => {
    const machine = new Machine(["uv", "python3"]);
    await machine.install(["--cpu"]).exit;
    const { code, stderr } = await machine.install(args).exit;
    expect({ code, stderr }).toEqual({ code: 1, stderr: `error: ${message}\n` });
  });
});
