// `arkor info`: what a bug report needs, and nothing that is secret.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { arkor } from "../support/command.ts";
import { Machine } from "../support/engine.ts";
import { Project } from "../support/project.ts";

const SECRETS = {
  HF_TOKEN: "hf_s3cret",
  VLLM_API_KEY: "s3cret",
  HTTPS_PROXY: "http://user:s3cret@proxy.test:3128/s3cret",
  NODE_OPTIONS: "--title=s3cret",
};

async function info(machine: Machine, env: Record<string, string | undefined> = {}) {
  const { code, stdout, stderr } = await machine.run(["info", "--json"], env).exit;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

describe("info", () => {
  it("has the versions, the platform, the engines, the devices and the caches", async () => {
    const machine = new Machine([]);
    const driver = "#!/bin/sh\necho 'NVIDIA H100 80GB, 81559, 0, 0'\n";
    writeFileSync(path.join(machine.tools, "nvidia-smi"), driver, { mode: 0o755 });
    machine.project.write(".arkor/local/jobs/job_1/events.jsonl", "x".repeat(1000));
    const hub = machine.project.path("hub");
    mkdirSync(hub);
    writeFileSync(path.join(hub, "blob"), "x".repeat(2500));
    const local = machine.project.path("local.mjs");
    writeFileSync(local, 'console.log("arkor-local 9.8.7");');
    const env = { HF_HUB_CACHE: hub, ARKOR_LOCAL_BIN: local, CI: "true" };
    const found = await info(machine, env);
    expect(found).toMatchObject({
      versions: {
        arkor: expect.stringMatching(/^\d+\.\d+\.\d+/),
        local: "9.8.7",
        node: process.versions.node,
      },
      system: { platform: process.platform, arch: process.arch },
      addon: "loaded",
      engines: {
        cpu: { engine: "cpu", status: "built in" },
        torch: [{ engine: "torch", status: "not installed" }],
      },
      devices: { cpu: { cores: expect.any(Number) }, memoryBytes: expect.any(Number) },
      account: { mode: null, org: null },
      settings: { HF_HUB_CACHE: expect.stringMatching(/hub$/), CI: "true" },
    });
    expect(found.devices.gpus).toEqual([
      { name: "NVIDIA H100 80GB", memoryBytes: 81_559 * 1024 * 1024 },
    ]);
    expect(found.caches).toEqual([
      { name: "Hugging Face Hub", place: hub, bytes: 2500 },
      { name: "engines", place: machine.engines, bytes: null },
      { name: "this project's runs", place: machine.project.path(".arkor/local"), bytes: 1000 },
    ]);
  });

  it.each([[["info"]], [["info", "--json"]]])("%j never shows a secret", async (args) => {
    const project = new Project().signIn({ url: "https://cloud.test" }, { token: "s3cret-token" });
    const { code, stdout } = await arkor(args, project.at(undefined, SECRETS)).exit;
    expect(code).toBe(0);
    expect(stdout).not.toContain("s3cret");
    expect(stdout).toMatch(/HF_TOKEN"?:? +"?set/);
    expect(stdout).toContain("http://proxy.test:3128");
    expect(stdout).toContain("anon");
  });

  it("tells what is broken instead of failing", async () => {
    const project = new Project();
    mkdirSync(project.credentials, { recursive: true });
    const env = { ARKOR_LOCAL_BIN: "nowhere" };
    const { code, stdout } = await arkor(["info"], project.at(undefined, env)).exit;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}@arkor\/local {2}not installed, or it can't be started$/m);
    expect(stdout).toMatch(/^ {2}cpu +ARKOR_LOCAL_BIN names a file that does not exist: /m);
    expect(stdout).toMatch(/^ {2}signed in {2}Can't read the credentials at ~\/\.arkor/m);
    // No path contains the user's name.
    expect(stdout).not.toContain(project.home);
  });
});
