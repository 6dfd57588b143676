// `ARKOR_LOG`, which is read when a process loads the engine.
import { expect, it } from "vitest";
import { Backend, CREDENTIALS } from "../support/backend.ts";
import { runScript } from "../support/process.ts";

/** Runs a job whose stream breaks once, and gives what was printed. */
async function run(filter: string) {
  const backend = await Backend.start(
    (stream) => {
      stream.log(1).log(2);
      stream.response.end();
    },
    (stream) => stream.completed(),
  );
  const trainer = {
    name: "run",
    model: "m",
    dataset: { type: "blob", url: "https://data.example/rows.jsonl" },
  };
  const context = {
    baseUrl: backend.url,
    credentials: CREDENTIALS,
    cwd: backend.directory,
    reconnectDelayMs: 0,
  };
  return runScript(
    `await arkor.createTrainer(${JSON.stringify(trainer)}, ${JSON.stringify(context)}).wait();`,
    { ARKOR_LOG: filter },
  );
}

it("prints each request, batch and reconnect, and no token", async () => {
  const { code, stderr } = await run("debug");
  expect(code).toBe(0);
  expect(stderr).toMatch(/ DEBUG arkor::api: POST \/v1\/jobs status=201 ms=\d+\n/);
  expect(stderr).toMatch(/ DEBUG arkor::run::connection: batch events=\d\n/);
  expect(
    stderr.match(/ DEBUG arkor::run: reconnecting attempt=0 delay=\S+ why=.+\n/g),
  ).toHaveLength(1);
  expect(stderr.match(/GET \/v1\/jobs\/job-1\/events\/stream status=200/g)).toHaveLength(2);
  expect(stderr).not.toContain(CREDENTIALS.token);
  expect(stderr.split("\n").filter((line) => line && !line.includes(" arkor::"))).toEqual([]);
});

it("takes a filter, and says what is wrong with one", async () => {
  const { stderr } = await run("arkor::run=debug");
  expect(stderr).toContain("reconnecting");
  expect(stderr).not.toContain("POST /v1/jobs");
  expect((await run("arkor::run=loud")).stderr).toMatch(
    /ArkorLogWarning: ARKOR_LOG is no filter: .+/,
  );
  expect((await run("")).stderr).toBe("");
});
