import { describe, expect, it, vi } from "vitest";
import { CloudApiClient, CloudApiError } from "../../index.js";
import { Backend, CREDENTIALS, gate, JOB, json, rejection } from "../support/backend.ts";

const SCOPE = { orgSlug: "the org", projectSlug: "a/b" };
const QUERY = "?orgSlug=the%20org&projectSlug=a%2Fb";

const DEPLOYMENT = {
  id: "d",
  slug: "s",
  orgId: "o",
  projectId: "p",
  target: { kind: "base_model", baseModel: "m" },
  authMode: "none",
  urlFormat: "openai_compat",
  enabled: true,
  customDomain: null,
  runRetentionMode: "a newer one",
  createdAt: "c",
  updatedAt: "u",
};
const KEY = { id: "k", label: "l", prefix: "p", enabled: true, createdAt: "c", lastUsedAt: null };

/** Every call, what it sends and what it gives. */
const CALLS: [
  name: string,
  call: (client: CloudApiClient) => Promise<unknown>,
  request: string,
  body: unknown,
  answer: [status: number, body: unknown],
  result: unknown,
][] = [
  [
    "listProjects",
    (client) => client.listProjects("the org"),
    "GET /v1/projects?orgSlug=the%20org",
    undefined,
    [200, { org: { slug: "o" }, projects: [] }],
    { org: { slug: "o" }, projects: [] },
  ],
  [
    "createProject",
    (client) => client.createProject({ orgSlug: "the org", name: "N", slug: "n" }),
    "POST /v1/projects?orgSlug=the%20org",
    { name: "N", slug: "n" },
    [201, { project: { id: "p", slug: "n", name: "N", orgId: "o" } }],
    { project: { id: "p", slug: "n", name: "N", orgId: "o" } },
  ],
  [
    "createJob",
    (client) => client.createJob({ ...SCOPE, name: "run", config: { a: [1.5, null] } }),
    `POST /v1/jobs${QUERY}`,
    { name: "run", config: { a: [1.5, null] } },
    [201, { job: JOB }],
    { job: JOB },
  ],
  [
    "getJob",
    (client) => client.getJob("a/b c", SCOPE),
    `GET /v1/jobs/a%2Fb%20c${QUERY}`,
    undefined,
    [200, { job: { ...JOB, more: 1 }, events: [{ type: "x" }] }],
    { job: { ...JOB, more: 1 }, events: [{ type: "x" }] },
  ],
  [
    "cancelJob",
    (client) => client.cancelJob("j", SCOPE),
    `POST /v1/jobs/j/cancel${QUERY}`,
    undefined,
    [202, { any: 1 }],
    undefined,
  ],
  [
    "listDeployments",
    (client) => client.listDeployments(SCOPE),
    `GET /v1/endpoints${QUERY}`,
    undefined,
    [200, { deployments: [DEPLOYMENT] }],
    { deployments: [DEPLOYMENT] },
  ],
  [
    "getDeployment",
    (client) => client.getDeployment("d", SCOPE),
    `GET /v1/endpoints/d${QUERY}`,
    undefined,
    [200, { deployment: DEPLOYMENT }],
    { deployment: DEPLOYMENT },
  ],
  [
    "createDeployment",
    (client) =>
      client.createDeployment(SCOPE, {
        slug: "s",
        target: { kind: "base_model", baseModel: "m" },
        authMode: "none",
        runRetentionMode: "days",
        runRetentionDays: 7,
      }),
    `POST /v1/endpoints${QUERY}`,
    {
      slug: "s",
      target: { kind: "base_model", baseModel: "m" },
      authMode: "none",
      runRetentionMode: "days",
      runRetentionDays: 7,
    },
    [201, { deployment: DEPLOYMENT }],
    { deployment: DEPLOYMENT },
  ],
  [
    "updateDeployment",
    (client) => client.updateDeployment("d", SCOPE, { enabled: false }),
    `PATCH /v1/endpoints/d${QUERY}`,
    { enabled: false },
    [200, { deployment: DEPLOYMENT }],
    { deployment: DEPLOYMENT },
  ],
  [
    "deleteDeployment",
    (client) => client.deleteDeployment("d", SCOPE),
    `DELETE /v1/endpoints/d${QUERY}`,
    undefined,
    [204, undefined],
    undefined,
  ],
  [
    "listDeploymentKeys",
    (client) => client.listDeploymentKeys("d", SCOPE),
    `GET /v1/endpoints/d/keys${QUERY}`,
    undefined,
    [200, { keys: [{ ...KEY, plaintext: "not for a list" }] }],
    { keys: [KEY] },
  ],
  [
    "createDeploymentKey",
    (client) => client.createDeploymentKey("d", SCOPE, { label: "l" }),
    `POST /v1/endpoints/d/keys${QUERY}`,
    { label: "l" },
    [201, { key: { ...KEY, plaintext: "shown once" } }],
    { key: { ...KEY, plaintext: "shown once" } },
  ],
  [
    "revokeDeploymentKey",
    (client) => client.revokeDeploymentKey("d", "k/1", SCOPE),
    `DELETE /v1/endpoints/d/keys/k%2F1${QUERY}`,
    undefined,
    [204, undefined],
    undefined,
  ],
];

describe.each(["the engine", "a fetch of the user's"])("through %s", (via) => {
  function clientOf(backend: Backend, options = {}) {
    const fetch = via === "the engine" ? undefined : globalThis.fetch;
    return new CloudApiClient({
      baseUrl: `${backend.url}/`,
      credentials: CREDENTIALS,
      fetch,
      ...options,
    });
  }

  it.each(CALLS)("%s", async (_, call, request, body, [status, answer], result) => {
    const backend = await Backend.start();
    const [method, target] = request.split(" ");
    const path = new URL(target, backend.url).pathname;
    backend.on(`${method} ${path}`, (_, response) =>
      answer === undefined ? response.writeHead(status).end() : json(response, status, answer),
    );
    expect(await call(clientOf(backend))).toEqual(result);
    const [received] = backend.requests;
    expect(`${received.method} ${received.target}`).toBe(request);
    expect(received.body === "" ? undefined : JSON.parse(received.body)).toEqual(body);
    expect(received.headers.authorization).toBe(`Bearer ${CREDENTIALS.token}`);
    expect(received.headers["x-arkor-client"]).toMatch(/^arkor\/\d/);
  });

  it("openEventStream resolves with the raw stream", async () => {
    const backend = await Backend.start((stream) => stream.write("data: x\n\n").end());
    const response = await clientOf(backend).openEventStream(JOB.id, SCOPE, { lastEventId: "7" });
    expect(await response.text()).toBe("data: x\n\n");
    expect(backend.opened[0].headers).toMatchObject({
      accept: "text/event-stream",
      "last-event-id": "7",
    });
  });

  it("chat posts the body verbatim and resolves with the raw answer", async () => {
    const backend = await Backend.start();
    backend.on("POST /v1/inference/chat", ({ body }, response) =>
      json(response, 200, { got: body }),
    );
    const body = { messages: [], any: { b: 1, a: 1e-7 } };
    const response = await clientOf(backend).chat({ scope: SCOPE, body });
    expect(await response.json()).toEqual({ got: JSON.stringify(body) });
  });

  it("T33: a non-2xx answer rejects with CloudApiError, of the raw calls, too", async () => {
    const backend = await Backend.start();
    const refuse = (_: unknown, response: import("node:http").ServerResponse) =>
      json(response, 403, { error: "not yours" });
    backend.on(`GET /v1/jobs/${JOB.id}`, refuse).on("POST /v1/inference/chat", refuse);
    const client = clientOf(backend);
    const calls = [client.getJob(JOB.id, SCOPE), client.chat({ scope: SCOPE, body: {} })];
    for (const error of await Promise.all(calls.map(rejection))) {
      expect(error).toBeInstanceOf(CloudApiError);
      expect(error).toMatchObject({ status: 403, message: "not yours" });
    }
  });

  it("an answer that is not what the call promises names the field", async () => {
    const backend = await Backend.start();
    const { authMode: _, ...lacking } = DEPLOYMENT;
    backend
      .on("GET /v1/projects", (_, response) => json(response, 200, { org: { slug: "o" } }))
      .on("GET /v1/endpoints/d", (_, response) => json(response, 200, { deployment: 5 }))
      .on("GET /v1/endpoints/d/keys", (_, response) => json(response, 200, { keys: {} }))
      .on("GET /v1/endpoints/e", (_, response) =>
        json(response, 200, { deployment: { ...DEPLOYMENT, enabled: "yes" } }),
      )
      .on("GET /v1/endpoints", (_, response) => json(response, 200, { deployments: [lacking] }))
      .on("POST /v1/projects", (_, response) => response.writeHead(201).end("<html>"));
    const client = clientOf(backend);
    await expect(client.listProjects("o")).rejects.toThrow(/listProjects.*projects is missing/);
    await expect(client.getDeployment("d", SCOPE)).rejects.toThrow(/deployment is no object/);
    await expect(client.getDeployment("e", SCOPE)).rejects.toThrow(
      /deployment\.enabled is neither true nor false/,
    );
    await expect(client.listDeploymentKeys("d", SCOPE)).rejects.toThrow(/keys is no array/);
    await expect(client.listDeployments(SCOPE)).rejects.toThrow(
      /deployments\[0\]\.authMode is missing/,
    );
    const project = { orgSlug: "o", name: "n", slug: "s" };
    await expect(client.createProject(project)).rejects.toThrow(/no JSON object/);
  });

  it("a JSON that only JSON.parse reads is an answer like any other", async () => {
    const backend = await Backend.start();
    const text = `{"job":${JSON.stringify(JOB).replace("{}", '{"a":1e400,"\\ud800":"\\udfff"}')}}`;
    backend.on(`GET /v1/jobs/${JOB.id}`, (_, response) => response.writeHead(200).end(text));
    const { job } = await clientOf(backend).getJob(JOB.id, SCOPE);
    expect(job.config).toEqual({ a: Number.POSITIVE_INFINITY, "\ud800": "\udfff" });
  });

  it("T24: openEventStream sends the id as its UTF-8 bytes", async () => {
    const backend = await Backend.start((stream) => stream.end());
    await clientOf(backend).openEventStream(JOB.id, SCOPE, { lastEventId: "é日" });
    const id = backend.opened[0].headers["last-event-id"] as string;
    expect(Buffer.from(id, "latin1").toString()).toBe("é日");
  });

  it("the body of a refusal is read only as far as a message can use it", async () => {
    const backend = await Backend.start();
    const closed = gate();
    backend.on("GET /v1/projects", (_, response) => {
      response.once("close", closed.open).writeHead(500);
      const pour = () => {
        while (response.write("x".repeat(65_536)));
        response.once("drain", pour);
      };
      pour();
    });
    const error = (await rejection(clientOf(backend).listProjects("o"))) as Error;
    expect(error).toMatchObject({ status: 500 });
    expect(error.message).toBe("x".repeat(65_536));
    await closed.promise;
  });

  it("a deprecation goes to onDeprecation, whose errors are ignored", async () => {
    const backend = await Backend.start();
    backend.on("GET /v1/projects", (_, response) => {
      response.setHeader("Deprecation", "true");
      response.setHeader("Warning", '299 - "use 2.x"');
      response.setHeader("Sunset", "Sat, 31 Dec 2033 23:59:59 GMT");
      json(response, 200, { org: { slug: "o" }, projects: [] });
    });
    for (const ignored of [() => Promise.reject(new Error("later")), () => JSON.parse("{")]) {
      const onDeprecation = vi.fn(ignored);
      await clientOf(backend, { onDeprecation }).listProjects("o");
      expect(onDeprecation.mock.calls).toEqual([
        [{ message: "use 2.x", sunset: "Sat, 31 Dec 2033 23:59:59 GMT" }],
      ]);
    }
  });
});

it("all traffic goes through a given fetch, called as fetch(url, init)", async () => {
  const fetch = vi.fn(async (_url: unknown, _init?: RequestInit) => Response.json({ job: JOB }));
  const client = new CloudApiClient({
    baseUrl: "http://api.made-up.test",
    credentials: CREDENTIALS,
    fetch: fetch as typeof globalThis.fetch,
  });
  expect(await client.getJob("j", SCOPE)).toEqual({ job: JOB });
  const [url, init] = fetch.mock.calls[0];
  expect(url).toBe(`http://api.made-up.test/v1/jobs/j${QUERY}`);
  expect(init).toMatchObject({
    method: "GET",
    headers: { authorization: `Bearer ${CREDENTIALS.token}` },
  });
});

it("credentials that can't be used are refused by name, and no value shows", () => {
  const options = { baseUrl: "http://127.0.0.1:1", credentials: "sk-secret" };
  // biome-ignore lint/suspicious/noExplicitAny: not what the types allow
  expect(() => new CloudApiClient(options as any)).toThrow(
    /^CloudApiClient: credentials: must be an object/,
  );
});

it("T33: a status that Response does not take is a CloudApiError", async () => {
  const backend = await Backend.start();
  backend.on("POST /v1/inference/chat", (_, response) => response.writeHead(999).end());
  const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS });
  const error = await rejection(client.chat({ scope: SCOPE, body: {} }));
  expect(error).toBeInstanceOf(CloudApiError);
  expect(error).toMatchObject({ status: 999 });
});

it.each(["the engine", "a given fetch"])(
  "T33: a refusal that breaks off keeps its status, by %s",
  async (by) => {
    const backend = await Backend.start();
    backend.on("POST /v1/inference/chat", (_, response) => {
      response.writeHead(500, { "content-length": 100 }).write("broken", () => response.destroy());
    });
    const fetch = by === "the engine" ? undefined : globalThis.fetch;
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS, fetch });
    expect(await rejection(client.chat({ scope: SCOPE, body: {} }))).toMatchObject({
      name: "CloudApiError",
      status: 500,
    });
  },
);

it.each(["the engine", "a given fetch"])(
  "a token that HTTP can't carry shows in no message, by %s",
  async (by) => {
    const fetch = by === "the engine" ? undefined : globalThis.fetch;
    const credentials = { ...CREDENTIALS, token: "sk-secret\n" };
    const client = new CloudApiClient({ baseUrl: "http://127.0.0.1:1", credentials, fetch });
    const error = (await rejection(client.getJob("j", SCOPE))) as Error;
    expect(error.message).toMatch(/^The authorization header has characters that HTTP can't carry/);
    expect(`${error.message}${error.cause}${error.stack}`).not.toContain("sk-secret");
  },
);
