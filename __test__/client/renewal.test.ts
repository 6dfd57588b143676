// The renewal of a login: shared by concurrent callers, passed to `onCredentials`, and tried once after a 401.
import { existsSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import {
  CloudApiClient,
  CloudApiError,
  type Credentials,
  credentialsPath,
  readCredentials,
  writeCredentials,
  writeState,
} from "../../index.js";
import { Backend, CREDENTIALS, gate, JOB, json, rejection } from "../support/backend.ts";
import { identityServer, OAUTH, useTemporaryHome } from "../support/identity.ts";

useTemporaryHome();

const SCOPE = { orgSlug: "o", projectSlug: "p" };
const STATE = { ...SCOPE, projectId: "i" };

/** A backend that takes one access token and answers 401 to any other. */
async function strict(token: string, ...scripts: Parameters<typeof Backend.start>) {
  const backend = await Backend.start(...scripts);
  const seen: (string | undefined)[] = [];
  for (const route of [
    "POST /v1/jobs",
    `GET /v1/jobs/${JOB.id}`,
    `POST /v1/jobs/${JOB.id}/cancel`,
    "POST /v1/inference/chat",
  ]) {
    backend.on(route, ({ headers, method }, response) => {
      seen.push(headers.authorization);
      if (headers.authorization !== `Bearer ${token}`) {
        return json(response, 401, { error: "token expired" });
      }
      json(response, method === "POST" ? 201 : 200, { job: JOB });
    });
  }
  await writeState(STATE, backend.directory);
  return { backend, seen };
}

describe("two trainers made from one expired login", () => {
  it("spend its refresh token once, both while one waits and later, and both are told", async () => {
    const { server, expired } = await identityServer();
    const backend = await Backend.start();
    await writeState(STATE, backend.directory);
    const told: Credentials[] = [];
    const trainer = () =>
      backend.trainer(
        {},
        { credentials: { ...expired }, onCredentials: (renewed) => void told.push(renewed) },
      );
    await Promise.all([trainer().start(), trainer().start()]);
    await trainer().start();
    expect(server.requests).toHaveLength(1);
    expect(backend.to("POST /v1/jobs").map(({ headers }) => headers.authorization)).toEqual(
      Array(3).fill("Bearer access-2"),
    );
    const renewed = { ...expired, accessToken: "access-2", refreshToken: "refresh-2" };
    expect(told).toEqual(Array(3).fill({ ...renewed, expiresAt: expect.any(Number) }));
    expect(existsSync(credentialsPath())).toBe(false);
  });

  it("get the refusal that came for one of them", async () => {
    const { server, expired } = await identityServer();
    const answer = gate();
    server.on("POST /oauth/token", async (_, response) => {
      await answer.promise;
      json(response, 403, { error: "invalid_grant" });
    });
    const backend = await Backend.start();
    const ask = () =>
      new CloudApiClient({ baseUrl: backend.url, credentials: expired }).getJob(JOB.id, SCOPE);
    // The last two calls share a client.
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: expired });
    const calls = [ask(), ask(), client.getJob(JOB.id, SCOPE), client.getJob(JOB.id, SCOPE)];
    const errors = Promise.all(calls.map(rejection));
    await server.until(() => server.requests.length > 0);
    answer.open();
    for (const error of await errors) {
      expect(error).toBeInstanceOf(CloudApiError);
      expect(error).toMatchObject({ status: 401, message: expect.stringMatching(/Log in again/) });
    }
  });

  it("get what the one fetch rejected with, also the one whose fetch it was not", async () => {
    const failure = new TypeError("offline");
    const asked = gate();
    const answer = gate();
    const fetches: string[] = [];
    const client = (name: string) =>
      new CloudApiClient({
        baseUrl: "http://api.made-up.test",
        credentials: { ...OAUTH, expiresAt: 1 },
        fetch: (async (url: unknown) => {
          fetches.push(`${name} ${url}`);
          asked.open();
          await answer.promise;
          throw failure;
        }) as typeof globalThis.fetch,
      });
    const first = rejection(client("a").getJob(JOB.id, SCOPE));
    await asked.promise;
    const second = rejection(client("b").getJob(JOB.id, SCOPE));
    answer.open();
    expect(await first).toBe(failure);
    const error = await second;
    // If the second call came too late to wait for the first, it has sent its own request.
    expect(error).toBe(failure);
    expect(fetches[0]).toBe("a https://login.made-up.test/oauth/token");
  });
});

describe("onCredentials", () => {
  it("has the rotated token before the request goes, and what it throws changes nothing", async () => {
    const { expired } = await identityServer();
    const order: string[] = [];
    const backend = await Backend.start();
    backend.on(`GET /v1/jobs/${JOB.id}`, (_, response) => {
      order.push("request");
      json(response, 200, { job: JOB });
    });
    const client = new CloudApiClient({
      baseUrl: backend.url,
      credentials: expired,
      onCredentials: ({ refreshToken }) => {
        order.push(refreshToken);
        throw new Error("of the listener");
      },
    });
    await client.getJob(JOB.id, SCOPE);
    await client.getJob(JOB.id, SCOPE);
    expect(order).toEqual(["refresh-2", "request", "request"]);
  });

  it("is told by a given fetch's renewal, and after an abort too", async () => {
    const told = gate<Credentials>();
    const asked = gate();
    const answer = gate<Response>();
    const controller = new AbortController();
    const client = new CloudApiClient({
      baseUrl: "http://api.made-up.test",
      credentials: { ...OAUTH, expiresAt: 1 },
      fetch: (() => {
        asked.open();
        return answer.promise;
      }) as typeof globalThis.fetch,
      onCredentials: told.open,
    });
    const chat = rejection(client.chat({ scope: SCOPE, body: {}, signal: controller.signal }));
    await asked.promise;
    controller.abort("why");
    expect(await chat).toBe("why");
    answer.open(Response.json({ access_token: "access-2", refresh_token: "refresh-2" }));
    expect(await told.promise).toMatchObject({ refreshToken: "refresh-2" });
  });

  it("is not told of the stored login, which is in its file", async () => {
    const { expired } = await identityServer();
    await writeCredentials(expired);
    const backend = await Backend.start();
    await writeState(STATE, backend.directory);
    const onCredentials = vi.fn();
    await backend.trainer({}, { credentials: undefined, onCredentials }).start();
    expect(onCredentials).not.toHaveBeenCalled();
    expect(await readCredentials()).toMatchObject({ refreshToken: "refresh-2" });
  });
});

describe("a 401 on a login that this machine's clock calls valid", () => {
  it("renews it once, and the call is made once more", async () => {
    const { server, login } = await identityServer();
    const { backend, seen } = await strict("access-2");
    const told: Credentials[] = [];
    const client = new CloudApiClient({
      baseUrl: backend.url,
      credentials: login,
      onCredentials: (renewed) => void told.push(renewed),
    });
    expect(await client.getJob(JOB.id, SCOPE)).toEqual({ job: JOB });
    expect(await client.getJob(JOB.id, SCOPE)).toEqual({ job: JOB });
    expect(seen).toEqual(["Bearer access-1", "Bearer access-2", "Bearer access-2"]);
    expect(server.requests).toHaveLength(1);
    expect(told).toEqual([expect.objectContaining({ refreshToken: "refresh-2" })]);
  });

  it("is final when the renewed token is refused too", async () => {
    const { server, login } = await identityServer();
    const { backend, seen } = await strict("of somebody else");
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: login });
    const error = await rejection(client.getJob(JOB.id, SCOPE));
    expect(error).toBeInstanceOf(CloudApiError);
    expect(error).toMatchObject({ status: 401, message: "token expired" });
    expect(seen).toEqual(["Bearer access-1", "Bearer access-2"]);
    expect(server.requests).toHaveLength(1);
  });

  it("is final for a token that was renewed for this very call", async () => {
    const { server, expired } = await identityServer();
    const { backend, seen } = await strict("of somebody else");
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: expired });
    expect(await rejection(client.getJob(JOB.id, SCOPE))).toMatchObject({ status: 401 });
    expect(seen).toEqual(["Bearer access-2"]);
    expect(server.requests).toHaveLength(1);
  });

  it("stands as it is when the identity provider can't be reached", async () => {
    const { backend, seen } = await strict("access-2");
    const credentials = { ...OAUTH, auth0Domain: "127.0.0.1:1" };
    const client = new CloudApiClient({ baseUrl: backend.url, credentials });
    const error = await rejection(client.getJob(JOB.id, SCOPE));
    expect(error).toMatchObject({ name: "CloudApiError", status: 401, message: "token expired" });
    expect(seen).toEqual(["Bearer access-1"]);
  });

  it("is final for an anonymous identity, which has nothing to renew", async () => {
    const { backend, seen } = await strict("access-2");
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: CREDENTIALS });
    expect(await rejection(client.getJob(JOB.id, SCOPE))).toMatchObject({ status: 401 });
    expect(seen).toHaveLength(1);
  });

  it("renews it once through a given fetch", async () => {
    const seen: [url: string, authorization: string | undefined][] = [];
    const fetch = async (url: unknown, init?: RequestInit) => {
      const { authorization } = { ...(init?.headers as Record<string, string>) };
      seen.push([String(url).replace(/\?.*/, ""), authorization]);
      if (String(url).endsWith("/oauth/token")) {
        return Response.json({ access_token: "access-2", refresh_token: "refresh-2" });
      }
      return authorization === "Bearer access-2"
        ? Response.json({ job: JOB })
        : Response.json({ error: "token expired" }, { status: 401 });
    };
    const client = new CloudApiClient({
      baseUrl: "http://api.made-up.test",
      credentials: OAUTH,
      fetch: fetch as typeof globalThis.fetch,
    });
    expect(await client.getJob(JOB.id, SCOPE)).toEqual({ job: JOB });
    expect(seen).toEqual([
      [`http://api.made-up.test/v1/jobs/${JOB.id}`, "Bearer access-1"],
      ["https://login.made-up.test/oauth/token", undefined],
      [`http://api.made-up.test/v1/jobs/${JOB.id}`, "Bearer access-2"],
    ]);
  });

  it("does not end a trainer's start(), infer or cancel()", async () => {
    const { server, login } = await identityServer();
    await writeCredentials(login);
    const { backend, seen } = await strict("access-2");
    const trainer = backend.trainer({}, { credentials: undefined });
    await trainer.start();
    await trainer.cancel();
    expect(seen).toEqual(["Bearer access-1", "Bearer access-2", "Bearer access-2"]);
    expect(server.requests).toHaveLength(1);
    expect(await readCredentials()).toMatchObject({ refreshToken: "refresh-2" });
  });

  it("T23: does not end wait() when the stream is opened, and ends it when that is refused again", async () => {
    const { server, login } = await identityServer();
    const backend = await Backend.start();
    await writeState(STATE, backend.directory);
    const stream = `GET /v1/jobs/${JOB.id}/events/stream`;
    const tokens: (string | undefined)[] = [];
    let accepted = "Bearer access-2";
    backend.on(stream, ({ headers }, response) => {
      tokens.push(headers.authorization);
      if (headers.authorization !== accepted) return json(response, 401, { error: "expired" });
      response.writeHead(200, { "content-type": "text/event-stream" });
      const data = { type: "training.log", jobId: JOB.id, timestamp: "t", step: 1 };
      // A clean end: the stream is opened again, and this machine still calls the token valid.
      response.end(`id: 1\ndata: ${JSON.stringify(data)}\n\n`);
      accepted = "none";
    });
    const notices: unknown[] = [];
    const steps: number[] = [];
    const trainer = backend.trainer(
      { callbacks: { onLog: ({ step }) => steps.push(step) } },
      { credentials: login, onReconnect: ({ error }) => void notices.push(error) },
    );
    const error = await rejection(trainer.wait());
    expect(error).toMatchObject({ name: "CloudApiError", status: 401, message: "expired" });
    expect(tokens).toEqual([
      "Bearer access-1",
      "Bearer access-2",
      "Bearer access-2",
      "Bearer access-3",
    ]);
    expect(steps).toEqual([1]);
    expect(notices).toEqual([undefined]);
    expect(server.requests).toHaveLength(2);
  });
});
