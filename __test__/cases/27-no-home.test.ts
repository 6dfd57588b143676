// A user without a home directory, such as an arbitrary uid in a container: only what needs a file in it may fail.
import { spawn } from "node:child_process";
import { chmodSync } from "node:fs";
import path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { Backend, CREDENTIALS, json, temporaryDirectory } from "../support/backend.ts";
import { type Finished, ROOT } from "../support/process.ts";

/** Without root, the test can't switch to such a user. This makes `os.homedir()` throw what it throws for one. */
const STUB = `require("node:os").homedir = () => {
  throw Object.assign(new Error("uv_os_homedir returned ENOENT"), { code: "ERR_SYSTEM_ERROR" });
};`;

async function homeless(env: Record<string, string>, context: object): Promise<Finished> {
  const isRoot = process.getuid?.() === 0;
  const input = { name: "a", model: "m", dataset: { type: "blob", url: "https://x/y" } };
  const source = `${isRoot ? "" : STUB}
    const arkor = require(${JSON.stringify(ROOT)});
    (async () => {
      const trainer = arkor.createTrainer(${JSON.stringify(input)}, ${JSON.stringify(context)});
      for (let i = 0; i < 2; i++) {
        await trainer.start().then(
          ({ jobId }) => console.log("started", jobId),
          (error) => console.log(error.name, error.message),
        );
      }
    })();`;
  const child = spawn(process.execPath, ["-e", source], {
    env: { PATH: process.env.PATH, ...env },
    cwd: "/",
    stdio: ["ignore", "pipe", "pipe"],
    // A uid that isn't in the user database.
    ...(isRoot && { uid: 54_321, gid: 54_321 }),
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  return new Promise((resolve) => {
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

async function issuing() {
  const backend = await Backend.start();
  backend.on("POST /v1/auth/anonymous", (_, response) => {
    const personalOrg = { id: "o", slug: "o", name: "O" };
    json(response, 200, { token: "t", anonymousId: "a", kind: "cli", personalOrg });
  });
  return backend;
}

/** A project that the homeless user may write to. */
function project() {
  const cwd = path.join(temporaryDirectory());
  chmodSync(cwd, 0o777);
  return cwd;
}

it("27: the local identity needs no home directory", async () => {
  const backend = await issuing();
  const env = { ARKOR_CLOUD_API_URL: backend.url, ARKOR_LOCAL_TOKEN: "t" };
  expect(await homeless(env, {})).toEqual({
    code: 0,
    stdout: "started job-1\nstarted job-1\n",
    stderr: "",
  });
});

it("27: given credentials need no home directory", async () => {
  const backend = await issuing();
  const env = { ARKOR_CLOUD_API_URL: backend.url };
  const ended = await homeless(env, { credentials: CREDENTIALS, cwd: project() });
  expect(ended).toEqual({ code: 0, stdout: "started job-1\nstarted job-1\n", stderr: "" });
});

it("27: who needs the stored login is told what is missing, and no identity is made to be lost", async () => {
  const backend = await issuing();
  const { code, stdout, stderr } = await homeless({ ARKOR_CLOUD_API_URL: backend.url }, {});
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const line =
    "Error HOME is not set, and the system knows no home directory of this user, so there is no place " +
    "for the login. Set it to an absolute path, or pass `credentials` yourself.\n";
  expect(stdout).toBe(line + line);
  expect(backend.requests).toEqual([]);
});
