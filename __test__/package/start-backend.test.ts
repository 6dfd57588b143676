// `startBackend()` and the fixture for Vitest of @arkor/local.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, onTestFinished } from "vitest";
import { createTrainer } from "../../index.js";
import { startBackend } from "../../local/index.js";
import { it, test, testWith } from "../../local/vitest.mjs";
import { rejection } from "../support/backend.ts";
import { isAlive, ROOT, run } from "../support/command.ts";

const DATA = path.join(ROOT, "examples/triage/data/triage.jsonl");
const pidOf = (store: string) =>
  JSON.parse(readFileSync(path.join(store, "server.json"), "utf8")).pid;

const given = mkdtempSync(path.join(tmpdir(), "arkor-test-"));
afterAll(() => rmSync(given, { recursive: true, force: true }));
const own = testWith({ store: given });

function folder(): string {
  const made = mkdtempSync(path.join(tmpdir(), "arkor-test-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

describe("startBackend", () => {
  it("gives a backend of its own, which stop ends and whose temporary store it deletes", async () => {
    const backend = await startBackend();
    const { url, token, env, store } = backend;
    expect(env).toEqual({ ARKOR_CLOUD_API_URL: url, ARKOR_LOCAL_TOKEN: token });
    const me = await fetch(`${url}/v1/me`, { headers: { authorization: `Bearer ${token}` } });
    expect(me.status).toBe(200);
    const pid = pidOf(store);
    await Promise.all([backend.stop(), backend.stop()]);
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(store)).toBe(false);
  });

  it("keeps a store that it was given, and gives its log to onLog", async () => {
    const store = folder();
    const log: string[] = [];
    const backend = await startBackend({ store, onLog: (line) => log.push(line) });
    await backend.stop();
    expect(existsSync(path.join(store, "jobs"))).toBe(true);
    expect(log).toContain("arkor-local: stopping");
  });

  it("rejects with the last words of one that can't start", async () => {
    const store = folder();
    const backend = await startBackend({ store });
    const error = await rejection(startBackend({ store }));
    await backend.stop();
    expect(String(error)).toMatch(
      /^Error: startBackend: arkor-local ended with code 1 before it was ready\. It said: --store: .* is in use by /,
    );
  });

  it("ends with a process that forgets to stop it, and doesn't keep it alive", async () => {
    const script = `
      const { startBackend } = require(${JSON.stringify(path.join(ROOT, "local"))});
      startBackend().then(({ store }) => {
        const { pid } = require(store + "/server.json");
        console.log(JSON.stringify({ store, pid }));
      });
    `;
    const { code, stdout } = await run(process.execPath, ["-e", script], { cwd: ROOT }).exit;
    expect(code).toBe(0);
    const { store, pid } = JSON.parse(stdout);
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(store)).toBe(false);
  });
});

describe("the fixture", () => {
  const seen: string[] = [];

  test("points this process at the file's backend", async ({ backend }) => {
    seen.push(backend.url);
    expect(process.env).toMatchObject(backend.env);
    const dataset = { type: "file", path: DATA } as const;
    const trainer = createTrainer({ name: "t", model: "arkor-tiny", dataset, dryRun: true });
    const { job } = await trainer.wait();
    expect(job.status).toBe("completed");
  });

  test("which the next test shares", ({ backend }) => {
    expect(seen).toEqual([backend.url]);
  });

  own("testWith gives one with options, which is the one that is asked then", ({ backend }) => {
    expect(backend.store).toBe(given);
    expect(seen).not.toContain(backend.url);
    expect(process.env.ARKOR_CLOUD_API_URL).toBe(backend.url);
  });
});
