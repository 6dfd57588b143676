import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { describe, expect, it, onTestFinished } from "vitest";
import { CloudApiError } from "../../index.js";
import {
  Backend,
  CREDENTIALS,
  type EventStream,
  gate,
  JOB,
  json,
  rejection,
  temporaryDirectory,
} from "../support/backend.ts";
import { ROOT, runScript } from "../support/process.ts";

const STREAM = `GET /v1/jobs/${JOB.id}/events/stream`;

/** A worker that runs a trainer of this backend with this `onLog`. */
function startWorker(backend: Backend, onLog: string): Worker {
  const context = { baseUrl: backend.url, credentials: CREDENTIALS, cwd: backend.directory };
  return new Worker(
    `const { parentPort } = require("node:worker_threads");
    const { createTrainer } = require(${JSON.stringify(ROOT)});
    createTrainer(
      { name: "run", model: "m", dataset: { type: "blob", url: "u" },
        callbacks: { onLog: ${onLog} } },
      ${JSON.stringify(context)},
    ).wait().then(({ job }) => parentPort.postMessage(job.status));`,
    { eval: true },
  );
}

describe("worker threads", () => {
  it("T35: a trainer runs in one", async () => {
    const backend = await Backend.start((stream) => stream.log(1).completed());
    const worker = startWorker(backend, "({ step }) => parentPort.postMessage(step)");
    const messages: unknown[] = [];
    worker.on("message", (message) => messages.push(message));
    const [code] = await once(worker, "exit");
    expect([code, messages]).toEqual([0, [1, "completed"]]);
  });

  it.each([
    ["while a callback runs", "() => { parentPort.postMessage(0); return new Promise(() => {}); }"],
    ["while it reads", "() => parentPort.postMessage(0)"],
  ])("T35: terminating one %s leaks no connection and does not crash", async (_, onLog) => {
    for (let round = 0; round < 10; round++) {
      const closed = gate();
      const backend = await Backend.start((stream) => void stream.log(1).closed.then(closed.open));
      const worker = startWorker(backend, onLog);
      await once(worker, "message");
      await worker.terminate();
      await closed.promise;
    }
  });
});

it.runIf(process.platform === "linux")(
  "T35: 100 trainers share the runtime's threads",
  async () => {
    const backend = await Backend.start(
      ...Array.from({ length: 101 }, () => (stream: EventStream) => void stream.completed()),
    );
    const threads = () =>
      readdirSync("/proc/self/task").filter((task) =>
        readFileSync(`/proc/self/task/${task}/comm`, "utf8").startsWith("arkor"),
      ).length;
    await backend.trainer().wait();
    expect(threads()).toBe(2);
    await Promise.all(Array.from({ length: 100 }, () => backend.trainer().wait()));
    expect(threads()).toBe(2);
  },
);

it("T35: 100 trainers in one process follow their runs at the same time", async () => {
  const all = gate();
  const backends = await Promise.all(
    Array.from({ length: 100 }, () =>
      Backend.start(async (stream) => {
        stream.log(1);
        await all.promise;
        stream.completed();
      }),
    ),
  );
  let logs = 0;
  const onLog = () => {
    if (++logs === backends.length) all.open();
  };
  const results = await Promise.all(
    backends.map((backend) => backend.trainer({ callbacks: { onLog } }).wait()),
  );
  expect(results.map(({ job }) => job.status)).toEqual(Array(100).fill("completed"));
});

describe("redirects", () => {
  it("T36: one within the origin is followed", async () => {
    const backend = await Backend.start();
    backend.on(STREAM, (_, response) =>
      response.writeHead(307, { location: "/moved?orgSlug=the%20org" }).end(),
    );
    backend.on("GET /moved", ({ headers }, response) => {
      expect(headers.authorization).toBe(`Bearer ${CREDENTIALS.token}`);
      response.writeHead(200).end('data: {"type":"training.completed"}\n\n');
    });
    expect((await backend.trainer().wait()).job.status).toBe("completed");
  });

  it("T36: one to another origin is not, and nothing reaches it", async () => {
    const other = await Backend.start();
    const backend = await Backend.start();
    backend.on("POST /v1/jobs", (_, response) =>
      response.writeHead(307, { location: `${other.url}/v1/jobs?secret=1` }).end(),
    );
    const error = await rejection(backend.trainer().start());
    expect(error).toBeInstanceOf(CloudApiError);
    expect(error).toMatchObject({ status: 307 });
    expect((error as Error).message).toContain(`redirect to ${other.url}/v1/jobs not followed`);
    expect(other.requests).toEqual([]);
  });
});

describe("proxies", () => {
  /** A proxy that notes what it is asked for and answers absolute-form requests itself. */
  async function startProxy() {
    const asked: string[] = [];
    const proxy = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      request.resume();
      json(response, 201, { job: JOB });
    });
    proxy.on("connect", (request, socket) => {
      asked.push(`CONNECT ${request.url}`);
      socket.end("HTTP/1.1 502 No\r\n\r\n");
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => {
      proxy.closeAllConnections();
      proxy.close();
    });
    return { asked, url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
  }

  const names = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];
  const none = Object.fromEntries(
    names.flatMap((name) => [name, name.toLowerCase()]).map((name) => [name, undefined]),
  );

  function start(backend: Backend, baseUrl: string, env: NodeJS.ProcessEnv) {
    return runScript(
      `arkor.createTrainer(
        { name: "run", model: "m", dataset: { type: "blob", url: "u" } },
        ${JSON.stringify({ baseUrl, credentials: CREDENTIALS, cwd: backend.directory })},
      ).start().then(({ jobId }) => console.log(jobId), ({ message }) => console.log(message));`,
      { ...none, ...env },
    );
  }

  /** A backend for which the project is already stored, so that no test has to create it. */
  async function withState() {
    const backend = await Backend.start();
    await backend.trainer().start();
    return backend;
  }

  it("T36: HTTP_PROXY and HTTPS_PROXY are used, from the environment of the call", async () => {
    const backend = await withState();
    const proxy = await startProxy();
    const plain = await start(backend, "http://api.made-up.test", { HTTP_PROXY: proxy.url });
    expect(plain.stdout).toBe("job-1\n");
    const secure = await start(backend, "https://api.made-up.test", { https_proxy: proxy.url });
    expect(secure.stdout).toBe("fetch failed\n");
    expect(proxy.asked.map((line) => line.split("?")[0])).toEqual([
      "POST http://api.made-up.test/v1/jobs",
      "CONNECT api.made-up.test:443",
    ]);
  });

  it("T36: NO_PROXY and loopback addresses go without", async () => {
    const backend = await withState();
    const proxy = await startProxy();
    for (const [list, host] of [
      [".made-up.test", "api.made-up.test"],
      ["other.test,*", "api.made-up.test"],
    ]) {
      const env = { HTTP_PROXY: proxy.url, NO_PROXY: list };
      const direct = await start(backend, `http://${host}`, env);
      expect(direct.stdout).toBe("fetch failed\n");
    }
    const loopback = await start(backend, backend.url, { HTTP_PROXY: proxy.url });
    expect(loopback.stdout).toBe("job-1\n");
    // Whether these hosts are reachable depends on the system.
    for (const host of ["localhost.", "[::ffff:127.0.0.1]", "[::1]"]) {
      await start(backend, `http://${host}:1`, { HTTP_PROXY: proxy.url });
    }
    expect(proxy.asked).toEqual([]);
  });
});

it("T36: a worker's own process.env counts", async () => {
  const backend = await Backend.start();
  const worker = new Worker(
    `const { parentPort } = require("node:worker_threads");
    process.env.ARKOR_CLOUD_API_URL = ${JSON.stringify(backend.url)};
    process.env.ARKOR_LOCAL_TOKEN = "of the worker";
    const { createTrainer } = require(${JSON.stringify(ROOT)});
    createTrainer({ name: "run", model: "m", dataset: { type: "blob", url: "u" } }, { cwd: "/a/My App" })
      .start().then(({ jobId }) => parentPort.postMessage(jobId));`,
    { eval: true },
  );
  expect((await once(worker, "message"))[0]).toBe(JOB.id);
  const [request] = backend.requests;
  expect(request.headers.authorization).toBe("Bearer of the worker");
  expect(request.query).toEqual({ orgSlug: "local", projectSlug: "my-app" });
});

describe("TLS", () => {
  const fixture = (name: string) => path.join(__dirname, "../fixtures", name);

  /** A backend with this certificate, and what starting a trainer there says under an environment. */
  async function secure(name: string) {
    const versions: string[] = [];
    const server = createSecureServer(
      {
        key: readFileSync(fixture(`${name}.key.pem`)),
        cert: readFileSync(fixture(`${name}.cert.pem`)),
        allowHTTP1: true,
      },
      (request, response) => {
        versions.push(request.httpVersion);
        request.resume();
        response.writeHead(201, { "content-type": "application/json" });
        response.end(JSON.stringify({ job: JOB }));
      },
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const backend = await Backend.start();
    await backend.trainer().start();
    const baseUrl = `https://localhost:${(server.address() as AddressInfo).port}`;
    const start = async (env: NodeJS.ProcessEnv, before = "") => {
      const { stdout } = await runScript(
        `${before}
        arkor.createTrainer(
          { name: "run", model: "m", dataset: { type: "blob", url: "u" } },
          ${JSON.stringify({ baseUrl, credentials: CREDENTIALS, cwd: backend.directory })},
        ).start().then(
          ({ jobId }) => console.log(jobId),
          ({ message, cause }) => console.log(message, cause.code, cause.message),
        );`,
        { NODE_EXTRA_CA_CERTS: undefined, ...env },
      );
      return stdout;
    };
    return { start, versions };
  }

  it("T36: a certificate of an unknown authority is refused, and accepted with NODE_EXTRA_CA_CERTS", async () => {
    const { start, versions } = await secure("localhost");
    expect(await start({})).toMatch(
      /^fetch failed UNABLE_TO_VERIFY_LEAF_SIGNATURE .*certificate.*NODE_EXTRA_CA_CERTS/,
    );
    const authority = { NODE_EXTRA_CA_CERTS: fixture("authority.cert.pem") };
    expect(await start(authority)).toBe("job-1\n");
    // T7: trainers must not share HTTP/2's window of one connection.
    expect(versions).toEqual(["1.1"]);
  });

  it("T36: a self-signed certificate is refused, and accepted with NODE_EXTRA_CA_CERTS", async () => {
    const { start } = await secure("self-signed");
    expect(await start({})).toMatch(
      /^fetch failed DEPTH_ZERO_SELF_SIGNED_CERT .*certificate.*NODE_EXTRA_CA_CERTS/,
    );
    const itself = { NODE_EXTRA_CA_CERTS: fixture("self-signed.cert.pem") };
    expect(await start(itself)).toBe("job-1\n");
    const another = { NODE_EXTRA_CA_CERTS: fixture("authority.cert.pem") };
    expect(await start(another)).toContain("DEPTH_ZERO_SELF_SIGNED_CERT");
  });

  it("T36: NODE_TLS_REJECT_UNAUTHORIZED=0 does not turn the verification off", async () => {
    const { start } = await secure("self-signed");
    const off = { NODE_TLS_REJECT_UNAUTHORIZED: "0", NODE_NO_WARNINGS: "1" };
    expect(await start(off)).toContain("DEPTH_ZERO_SELF_SIGNED_CERT");
  });

  it("T36: a file of NODE_EXTRA_CA_CERTS that can't be used is ignored, as Node ignores it", async () => {
    const backend = await Backend.start((stream) => stream.completed());
    const context = { baseUrl: backend.url, credentials: CREDENTIALS, cwd: backend.directory };
    const finished = await runScript(
      `process.env.NODE_EXTRA_CA_CERTS = ${JSON.stringify(fixture("self-signed.key.pem"))};
      const { job } = await arkor.createTrainer(
        { name: "run", model: "m", dataset: { type: "blob", url: "u" } },
        ${JSON.stringify(context)},
      ).wait();
      console.log(job.status);`,
    );
    expect(finished.stdout).toBe("completed\n");
    expect(finished.stderr).toMatch(
      /^arkor: NODE_EXTRA_CA_CERTS is ignored: .*self-signed\.key\.pem: no usable certificate in it\n$/,
    );
  });

  it.runIf(process.platform === "linux")(
    "T36: on a system without roots Node's own count, and plain HTTP works, too",
    async () => {
      const none = { SSL_CERT_FILE: "/nonexistent", SSL_CERT_DIR: "/nonexistent" };
      const plain = await Backend.start((stream) => stream.completed());
      const context = { baseUrl: plain.url, credentials: CREDENTIALS, cwd: plain.directory };
      const finished = await runScript(
        `const { job } = await arkor.createTrainer(
          { name: "run", model: "m", dataset: { type: "blob", url: "u" } },
          ${JSON.stringify(context)},
        ).wait();
        console.log(job.status);`,
        { ...none, NODE_EXTRA_CA_CERTS: undefined },
      );
      expect(finished).toEqual({
        code: 0,
        stdout: "completed\n",
        stderr: ["SSL_CERT_FILE", "SSL_CERT_DIR"]
          .map((name) => `arkor: ${name} names no certificate: Node's are trusted\n`)
          .join(""),
      });

      const { start } = await secure("localhost");
      expect(await start(none)).toContain("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
      // Pretends that this authority is among Node's bundled ones.
      const authority = readFileSync(fixture("authority.cert.pem"), "utf8");
      const nodes = `const Module = require("node:module");
        const load = Module._load;
        Module._load = (id, ...rest) => id === "node:tls"
          ? { rootCertificates: [${JSON.stringify(authority)}] }
          : load(id, ...rest);`;
      expect(await start(none, nodes)).toBe("job-1\n");
      // If the system has roots, only those count.
      expect(await start({}, nodes)).toContain("UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    },
  );
});

it("a panic in the engine ends the call, not the process", async () => {
  const args = [
    "build",
    "--locked",
    "--profile",
    "local",
    "--package",
    "arkor",
    "--features",
    "probe",
  ];
  execFileSync("cargo", args, { cwd: ROOT, stdio: "ignore" });
  const library = { darwin: "libarkor.dylib", win32: "arkor.dll" }[process.platform as "darwin"];
  const addon = path.join(temporaryDirectory(), "probe.node");
  copyFileSync(path.join(ROOT, "target/local", library ?? "libarkor.so"), addon);
  const { code, stdout } = await runScript(`
    const binding = require(${JSON.stringify(addon)});
    try { binding.panicInACall(); } catch (error) { console.log(error.message); }
    await binding.panicInAPromise().catch((error) => console.log(error.message));
    console.log("alive");
  `);
  expect([code, stdout.split("\n")]).toEqual([
    0,
    ["a panic in a call", "arkor: internal error: a panic in a promise", "alive", ""],
  ]);
}, 600_000);
