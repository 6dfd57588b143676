import { rmSync } from "node:fs";
import { describe, expect, it, vi } from "vitest";
import {
  CloudApiClient,
  CloudApiError,
  credentialsPath,
  readCredentials,
  writeCredentials,
  writeState,
} from "../../index.js";
import { Backend, gate, JOB, json, rejection } from "../support/backend.ts";
import { identityServer, OAUTH, useTemporaryHome } from "../support/identity.ts";
import { runScript } from "../support/process.ts";

useTemporaryHome();

describe("an OAuth token that has expired", () => {
  it("is refreshed before a request, once for all, and the rotated token is stored", async () => {
    const { server, expired } = await identityServer();
    await writeCredentials(expired);
    const backends = await Promise.all([Backend.start(), Backend.start(), Backend.start()]);
    await Promise.all(
      backends.map(async (backend) => {
        await writeState({ orgSlug: "o", projectSlug: "p", projectId: "i" }, backend.directory);
        await backend.trainer({}, { credentials: expired }).start();
        expect(backend.requests[0].headers.authorization).toBe("Bearer access-2");
      }),
    );
    expect(server.requests).toHaveLength(1);
    const now = Date.now() / 1000;
    const stored = (await readCredentials()) as typeof OAUTH;
    expect(stored).toMatchObject({ accessToken: "access-2", refreshToken: "refresh-2" });
    expect(stored.expiresAt).toBeGreaterThan(now + 3500);
  });

  it("T34: an abort while it is refreshed does not lose the rotated token", async () => {
    const { server, expired } = await identityServer();
    await writeCredentials(expired);
    const backend = await Backend.start();
    backend.on("POST /v1/inference/chat", (_, response) => json(response, 200, {}));
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: expired });
    const scope = { orgSlug: "o", projectSlug: "p" };
    const controller = new AbortController();
    const aborted = rejection(client.chat({ scope, body: {}, signal: controller.signal }));
    await server.until(() => server.requests.length === 1);
    controller.abort();
    expect(await aborted).toBe(controller.signal.reason);
    await client.chat({ scope, body: {} });
    expect(server.requests).toHaveLength(1);
    expect(backend.requests[0].headers.authorization).toBe("Bearer access-2");
    expect(await readCredentials()).toMatchObject({ refreshToken: "refresh-2" });
  });

  it("T6: an abort while it is refreshed does not end the process before the token is stored", async () => {
    const { server, expired } = await identityServer();
    await writeCredentials(expired);
    const asked = gate();
    const gone = gate();
    server
      .on("POST /oauth/token", async (_, response) => {
        asked.open();
        await gone.promise;
        json(response, 200, { access_token: "access-2", refresh_token: "refresh-2" });
      })
      .on("GET /asked", async (_, response) => {
        await asked.promise;
        response.end();
      })
      .on("GET /still-here", (_, response) => void response.end(() => gone.open()));
    const finished = await runScript(
      `const controller = new AbortController();
      const client = new arkor.CloudApiClient(
        ${JSON.stringify({ baseUrl: "http://127.0.0.1:1", credentials: expired })},
      );
      const scope = { orgSlug: "o", projectSlug: "p" };
      const chat = client.chat({ scope, body: {}, signal: controller.signal });
      await fetch("${server.url}/asked");
      controller.abort("why");
      await chat.catch((reason) => console.log(reason));
      // The timer itself doesn't keep the process alive.
      setTimeout(() => fetch("${server.url}/still-here"), 20).unref();`,
    );
    expect(finished).toEqual({ code: 0, stdout: "why\n", stderr: "" });
    expect(await readCredentials()).toMatchObject({ refreshToken: "refresh-2" });
  });

  it.each(["a logout", "a new login"])("does not undo %s that came meanwhile", async (what) => {
    const { server, expired } = await identityServer();
    await writeCredentials(expired);
    const answer = gate();
    server.on("POST /oauth/token", async (_, response) => {
      await answer.promise;
      json(response, 200, { access_token: "access-2", refresh_token: "refresh-2" });
    });
    const backend = await Backend.start();
    backend.on("POST /v1/inference/chat", (_, response) => json(response, 200, {}));
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: expired });
    const asked = client.chat({ scope: { orgSlug: "o", projectSlug: "p" }, body: {} });
    await server.until(() => server.requests.length === 1);
    const later = what === "a logout" ? null : { ...OAUTH, refreshToken: "of a new login" };
    if (later) await writeCredentials(later);
    else rmSync(credentialsPath());
    answer.open();
    await asked;
    expect(backend.requests[0].headers.authorization).toBe("Bearer access-2");
    expect(await readCredentials()).toEqual(later);
  });

  it("two processes at once do not lose the rotated token", async () => {
    const { server, expired } = await identityServer();
    await writeCredentials(expired);
    const backend = await Backend.start();
    await writeState({ orgSlug: "o", projectSlug: "p", projectId: "i" }, backend.directory);
    const code = `await arkor.createTrainer(
      { name: "run", model: "m", dataset: { type: "blob", url: "u" } },
      ${JSON.stringify({ baseUrl: backend.url, cwd: backend.directory })},
    ).start();`;
    const ends = await Promise.all([runScript(code), runScript(code), runScript(code)]);
    expect(ends.map(({ stderr }) => stderr)).toEqual(["", "", ""]);
    expect(server.requests).toHaveLength(1);
    expect(await readCredentials()).toMatchObject({ refreshToken: "refresh-2" });
  });

  const jwt = (sub: string) => ({
    accessToken: `h.${Buffer.from(JSON.stringify({ sub })).toString("base64url")}.s`,
  });
  it.each([
    ["by its token", jwt("A"), jwt("B")],
    ["by its login, where tokens say nothing", { loginId: "a" }, { loginId: "b" }],
  ])("of another user is not taken from the file, told %s", async (_, ours, theirs) => {
    const { server, expired } = await identityServer();
    await writeCredentials({
      ...expired,
      refreshToken: "of-B",
      expiresAt: OAUTH.expiresAt,
      ...theirs,
    });
    const backend = await Backend.start();
    await writeState({ orgSlug: "o", projectSlug: "p", projectId: "i" }, backend.directory);
    await backend.trainer({}, { credentials: { ...expired, ...ours } }).start();
    expect(backend.requests[0].headers.authorization).toBe("Bearer access-2");
    expect(server.requests).toHaveLength(1);
    expect(await readCredentials()).toMatchObject({ refreshToken: "of-B", ...theirs });
  });

  it("of the same user is taken from the file, also after a new login", async () => {
    const { server, expired } = await identityServer();
    const now = { ...expired, ...jwt("A"), expiresAt: OAUTH.expiresAt, loginId: "new" };
    await writeCredentials(now);
    const backend = await Backend.start();
    const credentials = { ...expired, ...jwt("A"), loginId: "old" };
    const client = new CloudApiClient({ baseUrl: backend.url, credentials });
    await client.getJob(JOB.id, { orgSlug: "o", projectSlug: "p" });
    expect(backend.requests[0].headers.authorization).toBe(`Bearer ${now.accessToken}`);
    expect(server.requests).toEqual([]);
  });

  it("keeps its login's id when it is refreshed", async () => {
    const { expired } = await identityServer();
    await writeCredentials({ ...expired, loginId: "a" });
    const backend = await Backend.start();
    await writeState({ orgSlug: "o", projectSlug: "p", projectId: "i" }, backend.directory);
    await backend.trainer({}, { credentials: undefined }).start();
    const refreshed = { refreshToken: "refresh-2", loginId: "a" };
    expect(await readCredentials()).toMatchObject(refreshed);
  });

  it("and can't be refreshed says so without showing a token", async () => {
    const { expired } = await identityServer();
    const backend = await Backend.start();
    await writeState({ orgSlug: "o", projectSlug: "p", projectId: "i" }, backend.directory);
    const credentials = { ...expired, refreshToken: "a-used-one" };
    const error = await rejection(backend.trainer({}, { credentials }).start());
    expect(error).toBeInstanceOf(CloudApiError);
    expect(error).toMatchObject({
      status: 401,
      message: expect.stringMatching(/login has expired.*HTTP 403.*Log in again/),
    });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain("a-used-one");
    expect(backend.requests).toEqual([]);
  });

  it.each([
    ["7200", 7200],
    ["NaN", 3600],
    [{}, 3600],
    [true, 3600],
  ])("is told its lifetime in other ways by some identity providers: %j", async (text, seconds) => {
    const { server, expired } = await identityServer();
    server.on("POST /oauth/token", (_, response) =>
      json(response, 200, { access_token: "access-2", expires_in: text }),
    );
    await writeCredentials(expired);
    const backend = await Backend.start();
    await writeState({ orgSlug: "o", projectSlug: "p", projectId: "i" }, backend.directory);
    await backend.trainer({}, { credentials: expired }).start();
    const stored = (await readCredentials()) as typeof OAUTH;
    expect(Math.abs(stored.expiresAt - Date.now() / 1000 - seconds)).toBeLessThan(100);
  });

  it("needs no home directory when it is stored nowhere", async () => {
    const { expired } = await identityServer();
    // Nothing can be created there.
    vi.stubEnv("HOME", "/proc/nobody");
    vi.stubEnv("USERPROFILE", "/proc/nobody");
    const backend = await Backend.start();
    const client = new CloudApiClient({ baseUrl: backend.url, credentials: expired });
    await client.getJob(JOB.id, { orgSlug: "o", projectSlug: "p" });
    expect(backend.requests[0].headers.authorization).toBe("Bearer access-2");
  });

  it("T23: and can't be refreshed any more ends wait() at once", async () => {
    const { server, expired } = await identityServer();
    const backend = await Backend.start((stream) => stream.completed());
    // Each new token has almost expired on arrival, so it's refreshed before every request.
    server.on("POST /oauth/token", (_, response) =>
      backend.to("POST /v1/jobs").length > 0
        ? json(response, 403, {})
        : json(response, 200, { access_token: "access-2", expires_in: 1 }),
    );
    await writeState({ orgSlug: "o", projectSlug: "p", projectId: "i" }, backend.directory);
    const notices: unknown[] = [];
    const onReconnect = (notice: unknown) => void notices.push(notice);
    const trainer = backend.trainer({}, { credentials: expired, onReconnect });
    const error = await rejection(trainer.wait());
    expect(error).toMatchObject({ name: "CloudApiError", status: 401 });
    expect(notices).toEqual([]);
    expect(backend.opened).toEqual([]);
  });

  describe("under a given fetch", () => {
    const scope = { orgSlug: "o", projectSlug: "p" };

    it("is renewed through it, once for all, and stored", async () => {
      const credentials = { ...OAUTH, expiresAt: 1 };
      await writeCredentials(credentials);
      const seen: unknown[] = [];
      const fetch = async (url: unknown, init?: RequestInit) => {
        seen.push(url);
        if (url !== "https://login.made-up.test/oauth/token") return Response.json({ job: JOB });
        expect(init).toMatchObject({
          method: "POST",
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body: "grant_type=refresh_token&client_id=client&refresh_token=refresh-1",
        });
        return Response.json({ access_token: "access-2", refresh_token: "refresh-2" });
      };
      const baseUrl = "http://api.made-up.test";
      const client = new CloudApiClient({
        baseUrl,
        credentials,
        fetch: fetch as typeof globalThis.fetch,
      });
      await Promise.all([client.getJob("a", scope), client.getJob("b", scope)]);
      expect(seen).toHaveLength(3);
      expect(seen[0]).toBe("https://login.made-up.test/oauth/token");
      expect(await readCredentials()).toMatchObject({ refreshToken: "refresh-2" });
    });

    it("rejects with what it rejected with, and the next call tries again", async () => {
      const failure = new TypeError("offline");
      let asked = 0;
      const fetch = async (url: unknown) => {
        if (!String(url).endsWith("/oauth/token")) return Response.json({ job: JOB });
        if (++asked === 1) throw failure;
        return Response.json({ access_token: "access-2" });
      };
      const client = new CloudApiClient({
        baseUrl: "http://api.made-up.test",
        credentials: { ...OAUTH, expiresAt: 1 },
        fetch: fetch as typeof globalThis.fetch,
      });
      expect(await rejection(client.getJob("a", scope))).toBe(failure);
      expect(await client.getJob("a", scope)).toEqual({ job: JOB });
    });

    it("T34: with a signal that is aborted already nothing is asked", async () => {
      const fetch = vi.fn();
      const client = new CloudApiClient({
        baseUrl: "http://api.made-up.test",
        credentials: { ...OAUTH, expiresAt: 1 },
        fetch,
      });
      const signal = AbortSignal.abort("why");
      expect(await rejection(client.chat({ scope, body: {}, signal }))).toBe("why");
      expect(fetch).not.toHaveBeenCalled();
    });

    it("T34: an abort meanwhile rejects at once, and the renewal goes on", async () => {
      const answer = gate<Response>();
      const controller = new AbortController();
      const fetch = (url: unknown) => {
        if (!String(url).endsWith("/oauth/token")) return Promise.resolve(new Response("fine"));
        setImmediate(() => controller.abort("why"));
        return answer.promise;
      };
      const client = new CloudApiClient({
        baseUrl: "http://api.made-up.test",
        credentials: { ...OAUTH, expiresAt: 1 },
        fetch: fetch as typeof globalThis.fetch,
      });
      const { signal } = controller;
      expect(await rejection(client.chat({ scope, body: {}, signal }))).toBe("why");
      answer.open(Response.json({ access_token: "access-2" }));
      expect(await (await client.chat({ scope, body: {} })).text()).toBe("fine");
    });
  });
});
