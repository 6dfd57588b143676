// `arkor engine install torch` when it's interrupted, killed, run twice at once, or asks at a terminal.
import { existsSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { isAlive } from "../support/command.ts";
import { Machine } from "../support/engine.ts";
import { KEY } from "../support/terminal.ts";

const HANGING = { FAKE_FAILURE: JSON.stringify({ step: "sync" }) };

describe("an interruption", () => {
  it.each([
    ["SIGINT", "sync", ["uv", "python3"]],
    ["SIGTERM", "pip", ["python3"]],
  ] as const)(
    "by %s in `%s` leaves no process and no file, and exits with 130",
    async (signal, step, tools) => {
      const machine = new Machine([...tools]);
      const hanging = { FAKE_FAILURE: JSON.stringify({ step }) };
      const running = machine.install(["--cuda"], hanging);
      const [, pid] = await running.until("stderr", /Downloading torch \(pid (\d+)\)/);
      expect(machine.left).toHaveLength(2);
      running.kill(signal);
      const { code, stdout, stderr } = await running.exit;
      expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
      expect(stderr).toMatch(/\nInterrupted\. Nothing was installed\.\n$/);
      expect(isAlive(Number(pid))).toBe(false);
      expect(machine.left).toEqual([]);
    },
  );

  it("while Ray is added keeps what was there", async () => {
    const machine = new Machine(["uv", "python3"]);
    await machine.install(["--cuda"]).exit;
    const running = machine.install(["--ray"], HANGING);
    await running.until("stderr", /Downloading torch/);
    running.kill("SIGINT");
    expect((await running.exit).code).toBe(130);
    expect((await machine.install().exit).stdout).toContain("is installed already");
  });
});

describe("two at once", () => {
  it("the second one is refused, with the process of the first", async () => {
    const machine = new Machine(["uv", "python3"]);
    const running = machine.install(["--cuda"], HANGING);
    await running.until("stderr", /Downloading torch/);
    const lock = path.join(machine.engines, "lock");
    for (const args of [
      ["install", "torch", "--cuda"],
      ["remove", "torch"],
    ]) {
      const { code, stderr } = await machine.run(["engine", ...args]).exit;
      expect(code).toBe(1);
      expect(stderr).toContain(
        `error: Another arkor engine command (process ${running.pid}) is at work. Wait for it to end. If there is none, delete ${lock}\n`,
      );
    }
    expect(existsSync(machine.place())).toBe(true);
  });

  it("one that was killed is no obstacle", async () => {
    const machine = new Machine(["uv", "python3"]);
    const running = machine.install(["--cuda"], HANGING);
    const [, pid] = await running.until("stderr", /Downloading torch \(pid (\d+)\)/);
    running.kill("SIGKILL");
    process.kill(Number(pid), "SIGKILL");
    await running.exit;
    expect(machine.left).toContain("lock");
    expect((await machine.install(["--cuda"]).exit).code).toBe(0);
    expect(machine.left).toEqual([path.basename(machine.place())]);
  });
});

describe("at a terminal", () => {
  it("asks, and Enter alone installs nothing", async () => {
    const machine = new Machine(["uv", "python3"]);
    const terminal = machine.installAtTerminal(["--cuda"]);
    await terminal.until(/About 3\.1 MB to download[\s\S]*Install it\?/);
    terminal.press(KEY.enter);
    expect(await terminal.exit).toBe(0);
    expect(terminal.screen).toContain("Nothing was installed.");
    expect(machine.calls).toEqual([]);
  });

  it("installs after a yes", async () => {
    const machine = new Machine(["uv", "python3"]);
    const terminal = machine.installAtTerminal(["--cuda"]);
    await terminal.until(/Install it\?/);
    terminal.press("y");
    expect(await terminal.exit).toBe(0);
    expect(terminal.screen).toContain("The torch engine is installed in");
  });

  it("doesn't ask with -y", async () => {
    const machine = new Machine(["uv", "python3"]);
    const terminal = machine.installAtTerminal(["--cuda", "-y"]);
    expect(await terminal.exit).toBe(0);
    expect(terminal.screen).not.toContain("Install it?");
  });
});
