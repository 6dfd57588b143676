// An access token that the backend calls expired although this machine's clock says it isn't.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { CloudApiClient, createTrainer, readCredentials, writeState } from "../../index.js";
import { JOB, json, temporaryDirectory } from "../support/backend.ts";
import { useTemporaryHome } from "../support/identity.ts";

useTemporaryHome();

/** Like `skew.mjs`: a backend and identity provider in one, which only accepts the token `new`. */
async function skewed() {
  const calls: string[] = [];
  const server = createServer((request, response) => {
    const { method, url = "", headers } = request;
    const [path] = url.split("?");
    calls.push(`${method} ${path} ${headers.authorization ?? ""}`.trim());
    if (path === "/oauth/token") {
      return json(response, 200, {
        access_token: "new",
        refresh_token: "r2",
        expires_in: 3600,
      });
    }
    if (headers.authorization !== "Bearer new") {
      response.setHeader("www-authenticate", 'Bearer error="invalid_token"');
      return json(response, 401, { error: "token expired" });
    }
    if (path === "/v1/jobs") return json(response, 201, { job: JOB });
    if (path.endsWith("/events/stream")) {
      response.writeHead(200, { "content-type": "text/event-stream" });
      const data = { type: "training.completed", jobId: JOB.id, timestamp: "t", artifacts: [] };
      return response.end(`id: 1\ndata: ${JSON.stringify(data)}\n\nevent: end\n\n`);
    }
    json(response, 200, { org: { slug: "o" }, projects: [] });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const baseUrl = `http://127.0.0.1:${port}`;
  const credentials = {
    mode: "oauth" as const,
    accessToken: "old",
    refreshToken: "r1",
    expiresAt: Math.floor(Date.now() / 1000) + 3600,
    auth0Domain: `127.0.0.1:${port}`,
    audience: "",
    clientId: "c",
    arkorCloudApiUrl: baseUrl,
  };
  return { calls, baseUrl, credentials };
}

it("31: a client renews the login once and repeats the call", async () => {
  const { calls, baseUrl, credentials } = await skewed();
  const client = new CloudApiClient({ baseUrl, credentials });
  expect(await client.listProjects("o")).toEqual({ org: { slug: "o" }, projects: [] });
  expect(calls).toEqual([
    "GET /v1/projects Bearer old",
    "POST /oauth/token",
    "GET /v1/projects Bearer new",
  ]);
});

it("31: a trainer renews the login once, for the submission and the stream after it", async () => {
  const { calls, baseUrl, credentials } = await skewed();
  const cwd = temporaryDirectory();
  await writeState({ orgSlug: "o", projectSlug: "p", projectId: "i" }, cwd);
  const input = { name: "a", model: "m", dataset: { type: "blob", url: "https://x/y" } } as const;
  const { job } = await createTrainer(input, { baseUrl, credentials, cwd }).wait();
  expect(job.status).toBe("completed");
  expect(calls).toEqual([
    "POST /v1/jobs Bearer old",
    "POST /oauth/token",
    "POST /v1/jobs Bearer new",
    `GET /v1/jobs/${JOB.id}/events/stream Bearer new`,
  ]);
  expect(await readCredentials()).toBeNull();
});
