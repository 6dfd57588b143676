// `arkor start --local`: how the backend's process is found, started, watched and ended. A script
// stands in for the backend in the tests of its failures.
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { binaryPath } from "../../local/index.js";
import { arkor, isAlive, ROOT } from "../support/command.ts";
import { handMadeTrainer, Project } from "../support/project.ts";

const FAKE = path.join(ROOT, "__test__/support/fake-backend.mjs");

/** A run that goes on until it is cancelled, as far as the backend lets it. */
const ENDLESS = handMadeTrainer({
  wait: `
    console.log("waiting at " + process.env.ARKOR_CLOUD_API_URL);
    const keepAlive = setInterval(() => {}, 1000);
    await new Promise((resolve) => { globalThis.cancelled = resolve; });
    clearInterval(keepAlive);
    return { job: { id: "job-1", status: "cancelled" }, artifacts: [] };`,
  cancel: `console.log("cancel was called"); globalThis.cancelled();`,
});

const IS_READY = /fake: pid=(\d+) port=(\d+) token=(\w+)\n/;

function startLocal(
  project: Project,
  { args = [], mode, bin = FAKE }: { args?: string[]; mode?: string; bin?: string } = {},
) {
  const env = { ARKOR_LOCAL_BIN: bin, FAKE_BACKEND: mode, ARKOR_LOCAL_TOKEN: undefined };
  return arkor(["start", "--local", ...args], { ...project, env });
}

/** A port that somebody listens on until the test ends. */
async function portInUse(): Promise<number> {
  const server = createServer();
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

describe("starting", () => {
  it("gives the project the backend's address and token, and its store the project's directory", async () => {
    const project = new Project({
      "src/arkor/index.ts": handMadeTrainer({
        start: `console.log(process.env.ARKOR_CLOUD_API_URL, process.env.ARKOR_LOCAL_TOKEN);`,
      }),
    });
    const { code, stdout, stderr } = await startLocal(project, { args: ["--base-model", "m"] })
      .exit;
    const [, , port, token] = stderr.match(IS_READY) ?? [];
    expect(code).toBe(0);
    expect(stdout).toContain(`http://127.0.0.1:${port} ${token}\n`);
    const given = JSON.stringify({
      port: "0",
      engine: "auto",
      "with-parent": true,
      store: project.path(".arkor/local"),
      "base-model": project.path("m"),
    });
    expect(JSON.parse(stderr.match(/fake: (\{.*\})/)?.[1] ?? "null")).toEqual(JSON.parse(given));
  });

  it("tells where the adapter lies when the run is complete", async () => {
    const project = new Project({ "src/arkor/index.ts": handMadeTrainer() });
    const { stdout } = await startLocal(project).exit;
    expect(stdout).toBe(
      "Started job job-1\nJob job-1 finished with status=completed\n" +
        "Adapter: .arkor/local/jobs/job-1/adapter\n",
    );
  });

  it("says how to get the backend when ARKOR_LOCAL_BIN names none", async () => {
    const project = new Project({ "src/arkor/index.ts": handMadeTrainer() });
    const { code, stderr } = await startLocal(project, { bin: "nowhere" }).exit;
    expect(code).toBe(1);
    expect(stderr).toBe(
      `error: ARKOR_LOCAL_BIN names a file that does not exist: ${project.path("nowhere")}\n`,
    );
  });

  it("tells in one line what a backend said that ended before it was ready", async () => {
    const project = new Project({ "src/arkor/index.ts": handMadeTrainer() });
    const { code, stderr } = await startLocal(project, { mode: "broken" }).exit;
    expect(code).toBe(1);
    expect(stderr).toBe(
      "error: arkor-local ended with code 3 before it was ready. It said: fake: the store is not writable\n",
    );
  });

  it("names the port that is in use, in one line", async () => {
    const port = await portInUse();
    const project = new Project({ "src/arkor/index.ts": handMadeTrainer() });
    const args = ["--port", String(port)];
    const { code, stderr } = await startLocal(project, { args, bin: binaryPath() }).exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(
        "^error: arkor-local ended with code 1 before it was ready\\. It said: " +
          `--port: can't listen on 127\\.0\\.0\\.1:${port}, use another port: .*\\n$`,
      ),
    );
  });

  it("gives up on a backend that is not ready in time, with what it said", async () => {
    const { LocalBackend } = await import("../../cli/local/backend.js");
    const backend = new LocalBackend({
      command: [process.execPath, FAKE],
      cwd: new Project().cwd,
      env: { ...process.env, FAKE_BACKEND: "silent" },
      startTimeoutMs: 3000,
      say: () => {},
    });
    await expect(backend.start()).rejects.toThrow(
      "arkor-local was not ready after 3 s. It said: fake: loading weights",
    );
    await backend.stop();
    expect(isAlive(backend.pid ?? -1)).toBe(false);
  });
});

describe("a backend of another version", () => {
  const start = (version: string, env: Record<string, string | undefined> = {}) => {
    const project = new Project({
      "src/arkor/index.ts": handMadeTrainer(),
      "node_modules/@arkor/local/index.js": `exports.binaryPath = () => ${JSON.stringify(FAKE)};`,
    });
    const given = {
      FAKE_VERSION: version,
      ARKOR_LOCAL_BIN: undefined,
      npm_config_user_agent: undefined,
    };
    const all = { ...given, ...env };
    return arkor(["start", "--local"], { ...project, env: all }).exit;
  };
  const OURS = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")).version;
  const must = `and arkor is ${OURS}; they must be the same version.`;

  it.each([
    ["newer", "0.2.0", "is 0.2.0"],
    ["only almost ours", `${OURS}-rc.1`, `is ${OURS}-rc.1`],
    ["unknown", "", "doesn't say its version,"],
  ])("is refused when it's %s, with the command that mends it", async (_, version, is) => {
    const { code, stdout, stderr } = await start(version);
    const [, message] = stderr.split("error: ");
    expect({ code, stdout, message }).toEqual({
      code: 1,
      stdout: "",
      message: `@arkor/local ${is} ${must} Run: npm install @arkor/local@${OURS}\n`,
    });
  });

  it("is ended when it's refused", async () => {
    const { LocalBackend } = await import("../../cli/local/backend.js");
    const backend = new LocalBackend({
      command: [process.execPath, FAKE],
      cwd: new Project().cwd,
      env: { ...process.env, FAKE_VERSION: "0.2.0" },
      say: () => {},
    });
    await expect(backend.start()).rejects.toThrow("must be the same version");
    expect(isAlive(backend.pid ?? -1)).toBe(false);
  });

  it("is refused with the command of the user's package manager", async () => {
    const { stderr } = await start("0.2.0", { npm_config_user_agent: "yarn/4.1.0 npm/? node/v20" });
    expect(stderr).toContain(`Run: yarn add @arkor/local@${OURS}\n`);
  });

  it("is refused when ARKOR_LOCAL_BIN names it, and that is said", async () => {
    const { code, stderr } = await start("0.2.0", { ARKOR_LOCAL_BIN: FAKE });
    expect(code).toBe(1);
    expect(stderr.split("error: ")[1]).toBe(
      `the backend in ARKOR_LOCAL_BIN is 0.2.0 ${must} ` +
        `Unset ARKOR_LOCAL_BIN, and run: npm install @arkor/local@${OURS}\n`,
    );
  });
});

describe("a backend that dies", () => {
  it("is started again on the same port, with the same token", async () => {
    const running = startLocal(new Project({ "src/arkor/index.ts": ENDLESS }));
    await running.until("stdout", /waiting at/);
    const [line, pid, port, token] = await running.until("stderr", IS_READY);
    process.kill(Number(pid), "SIGKILL");
    const again = new RegExp(`fake: pid=(?!${pid})\\d+ port=${port} token=${token}\\n`);
    await running.until("stderr", again);
    expect(running.stderr.split(line)[1]).toContain(
      `arkor-local was ended by SIGKILL; starting it again on port ${port} (1 of 3)\n`,
    );
  });

  it("is given up after three restarts, with exit code 1", async () => {
    const running = startLocal(new Project({ "src/arkor/index.ts": ENDLESS }), { mode: "dying" });
    const { code, stderr } = await running.exit;
    expect(code).toBe(1);
    expect(stderr.match(IS_READY)).not.toBeNull();
    expect(stderr.match(/starting it again on port \d+ \(\d of 3\)/g)).toHaveLength(3);
    expect(stderr).toMatch(
      /\nerror: arkor-local ended with code 7, after 3 restarts; giving up\.\n$/,
    );
  });
});

describe("the end of the command", () => {
  it("ends the backend after a completed run", async () => {
    const project = new Project({ "src/arkor/index.ts": handMadeTrainer() });
    const { stderr } = await startLocal(project).exit;
    expect(isAlive(Number(stderr.match(IS_READY)?.[1]))).toBe(false);
  });

  it("ends the backend when the command itself is killed", async () => {
    const running = startLocal(new Project({ "src/arkor/index.ts": ENDLESS }));
    await running.until("stdout", /waiting at/);
    const [, pid] = await running.until("stderr", IS_READY);
    running.kill("SIGKILL");
    // The backend has inherited the command's pipes: they close when the backend has ended.
    await running.exit;
    await expect.poll(() => isAlive(Number(pid))).toBe(false);
  });

  it("Ctrl-C cancels the run, says where its checkpoints are, ends the backend, and exits with 130", async () => {
    const project = new Project({ "src/arkor/index.ts": ENDLESS });
    project.write(".arkor/local/jobs/job-1/checkpoints/checkpoint-2/adapter_config.json", "{}");
    const running = startLocal(project);
    await running.until("stdout", /waiting at/);
    const [, pid] = await running.until("stderr", IS_READY);
    running.kill("SIGINT");
    const { code, stdout, stderr } = await running.exit;
    expect(code).toBe(130);
    expect(stdout).toContain("cancel was called\n");
    expect(stdout).toContain("Job job-1 finished with status=cancelled\n");
    expect(stderr).toContain(
      "Its checkpoints are in .arkor/local/jobs/job-1/checkpoints. " +
        "To go on from the last one: arkor start --local --resume job-1\n",
    );
    expect(isAlive(Number(pid))).toBe(false);
  });

  it("Ctrl-C says that the run that it cancels hadn't saved a checkpoint", async () => {
    const running = startLocal(new Project({ "src/arkor/index.ts": ENDLESS }));
    await running.until("stdout", /waiting at/);
    running.kill("SIGINT");
    expect((await running.exit).stderr).toContain("It hadn't saved a checkpoint yet.\n");
  });

  it.each(["failed", "cancelled"])("says how to go on with a run that %s", async (status) => {
    const wait = `return { job: { id: "job-1", status: "${status}", error: "e" }, artifacts: [] };`;
    const project = new Project({ "src/arkor/index.ts": handMadeTrainer({ wait }) });
    project.write(".arkor/local/jobs/job-1/checkpoints/.unfinished/adapter_config.json", "{}");
    const without = await startLocal(project).exit;
    expect(without.stderr).not.toContain("--resume");
    project.write(".arkor/local/jobs/job-1/checkpoints/checkpoint-2/adapter_config.json", "{}");
    const { code, stderr } = await startLocal(project).exit;
    expect(code).toBe(1);
    expect(stderr).toContain(
      "Its checkpoints are in .arkor/local/jobs/job-1/checkpoints. " +
        "To go on from the last one: arkor start --local --resume job-1\n",
    );
  });

  it("a second Ctrl-C waits for nothing", async () => {
    const stuck = ENDLESS.replace("globalThis.cancelled();", "await new Promise(() => {});");
    const running = startLocal(new Project({ "src/arkor/index.ts": stuck }), { mode: "stubborn" });
    await running.until("stdout", /waiting at/);
    const [, pid] = await running.until("stderr", IS_READY);
    running.kill("SIGINT");
    await running.until("stdout", /cancel was called/);
    running.kill("SIGINT");
    const { code, stderr } = await running.exit;
    expect(code).toBe(130);
    expect(stderr).toContain("Job job-1 may go on. To cancel it: arkor cancel job-1 --local\n");
    expect(isAlive(Number(pid))).toBe(false);
  });

  it("a second Ctrl-C doesn't tell how the job was last seen as how it has finished", async () => {
    const cutOff = ENDLESS.replace('status: "cancelled"', 'status: "running"');
    const running = startLocal(new Project({ "src/arkor/index.ts": cutOff }));
    await running.until("stdout", /waiting at/);
    running.kill("SIGINT");
    await running.until("stdout", /cancel was called/);
    running.kill("SIGINT");
    const { code, stdout } = await running.exit;
    expect(code).toBe(130);
    expect(stdout).not.toContain("status=running");
  });

  it("a second Ctrl-C doesn't tell of a backend that it has ended itself", async () => {
    const unreachable = ENDLESS.replace(
      "globalThis.cancelled();",
      `await new Promise((resolve) => process.on("SIGINT", resolve)); throw new Error("ECONNRESET");`,
    );
    const running = startLocal(new Project({ "src/arkor/index.ts": unreachable }));
    await running.until("stdout", /waiting at/);
    running.kill("SIGINT");
    await running.until("stdout", /cancel was called/);
    running.kill("SIGINT");
    const { code, stderr } = await running.exit;
    expect(code).toBe(130);
    expect(stderr).not.toContain("could not be cancelled");
  });

  it("Ctrl-C while the backend is starting ends both", async () => {
    const project = new Project({ "src/arkor/index.ts": ENDLESS });
    const running = startLocal(project, { mode: "silent" });
    // Nothing is printed before the backend is ready; the bundle is written just before it starts.
    await expect.poll(() => project.has(".arkor/build/index.mjs")).toBe(true);
    running.kill("SIGINT");
    expect((await running.exit).code).toBe(130);
    expect(running.stdout).toBe("");
  });
});

describe("arkor local", () => {
  const serve = (
    project: Project,
    { args = [], mode, bin = FAKE }: { args?: string[]; mode?: string; bin?: string } = {},
  ) => {
    const env = { ARKOR_LOCAL_BIN: bin, FAKE_BACKEND: mode, ARKOR_LOCAL_TOKEN: undefined };
    return arkor(["local", ...args], { ...project, env });
  };

  it("prints the URL and how to point a project at it, and ends with Ctrl-C", async () => {
    const running = serve(new Project(), { args: ["--base-model", "m"] });
    const [, pid, port, token] = await running.until("stderr", IS_READY);
    await running.until("stdout", /Ctrl-C ends it\.\n/);
    expect(running.stdout).toBe(
      `The local backend is ready at http://127.0.0.1:${port}\n` +
        "To train there from a project, in another terminal:\n" +
        `  export ARKOR_CLOUD_API_URL=http://127.0.0.1:${port}\n` +
        `  export ARKOR_LOCAL_TOKEN=${token}\n` +
        "  arkor start\nCtrl-C ends it.\n",
    );
    running.kill("SIGINT");
    expect((await running.exit).code).toBe(0);
    expect(isAlive(Number(pid))).toBe(false);
  });

  it("takes the port that it is given, and names one that is in use", async () => {
    const port = await portInUse();
    const args = ["--port", String(port)];
    const { code, stderr } = await serve(new Project(), { args, bin: binaryPath() }).exit;
    expect(code).toBe(1);
    expect(stderr).toContain(`--port: can't listen on 127.0.0.1:${port}`);
  });

  it("hands on where other machines reach it, and the files of its TLS", async () => {
    const args = ["--listen", "0.0.0.0:8443", "--tls-cert", "c.pem", "--tls-key", "k.pem"];
    const project = new Project();
    const running = serve(project, { args });
    const [, given] = await running.until("stderr", /fake: (\{.*\})\n/);
    expect(JSON.parse(given)).toMatchObject({
      listen: "0.0.0.0:8443",
      "tls-cert": project.path("c.pem"),
      "tls-key": project.path("k.pem"),
    });
  });

  it("says why other machines can't reach it without TLS, in one line", async () => {
    const args = ["--listen", "0.0.0.0:0"];
    const { code, stderr } = await serve(new Project(), { args, bin: binaryPath() }).exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^error: .*--listen 0\.0\.0\.0:0 .* needs --tls-cert and --tls-key.*\n$/,
    );
  });

  it("does not wait for a backend that will not end after a second Ctrl-C", async () => {
    const running = serve(new Project(), { mode: "stubborn" });
    const [, pid] = await running.until("stderr", IS_READY);
    await running.until("stdout", /Ctrl-C ends it\.\n/);
    running.kill("SIGINT");
    await running.until("stderr", /Ending the backend/);
    running.kill("SIGINT");
    expect((await running.exit).code).toBe(0);
    expect(isAlive(Number(pid))).toBe(false);
  });

  it("gives up with 1 when the backend dies again and again", async () => {
    const { code, stderr } = await serve(new Project(), { mode: "dying" }).exit;
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /\nerror: arkor-local ended with code 7, after 3 restarts; giving up\.\n$/,
    );
  });
});
