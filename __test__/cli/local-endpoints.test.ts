// Endpoints of the local backend, managed through `CloudApiClient` and called through OpenAI's own
// client. The real binary.
import OpenAI from "openai";
import { expect, it } from "vitest";
import { CloudApiClient, CloudApiError } from "../../index.js";
import { startLocalServer } from "../cases/local-backend.ts";
import { CREDENTIALS } from "../support/backend.ts";

const scope = { orgSlug: "local", projectSlug: "demo" };

it("an endpoint is made, called with its key, changed and deleted", async () => {
  const { url, token } = await startLocalServer();
  const client = new CloudApiClient({ baseUrl: url, credentials: { ...CREDENTIALS, token } });
  const { deployment } = await client.createDeployment(scope, {
    slug: "tickets",
    target: { kind: "base_model", baseModel: "arkor-tiny" },
    authMode: "fixed_api_key",
    runRetentionMode: "disabled",
  });
  expect(deployment).toMatchObject({ slug: "tickets", projectId: "demo", enabled: true });
  expect(await client.listDeployments(scope)).toEqual({ deployments: [deployment] });
  const elsewhere = { orgSlug: "local", projectSlug: "other" };
  expect(await client.listDeployments(elsewhere)).toEqual({ deployments: [] });
  expect(await client.getDeployment(deployment.id, scope)).toEqual({ deployment });

  const { key } = await client.createDeploymentKey(deployment.id, scope, { label: "web" });
  expect(key.plaintext.startsWith(key.prefix)).toBe(true);
  const baseURL = `${url}/e/tickets/v1`;
  const openai = new OpenAI({ baseURL, apiKey: key.plaintext, maxRetries: 0 });
  const models: string[] = [];
  for await (const model of openai.models.list()) models.push(model.id);
  expect(models).toEqual(["tickets"]);
  const request = {
    model: "gpt-5",
    messages: [{ role: "user" as const, content: "Where is my parcel?" }],
    temperature: 0,
    max_tokens: 8,
  };
  const whole = await openai.chat.completions.create(request);
  expect(whole).toMatchObject({ object: "chat.completion", model: "tickets" });
  let pieces = "";
  const stream = await openai.chat.completions.create({ ...request, stream: true });
  for await (const chunk of stream) pieces += chunk.choices[0]?.delta.content ?? "";
  expect(pieces).toBe(whole.choices[0]?.message.content);
  const { keys } = await client.listDeploymentKeys(deployment.id, scope);
  expect(keys).toMatchObject([{ id: key.id, label: "web", enabled: true }]);
  expect(Date.parse(keys[0]?.lastUsedAt ?? "")).toBeGreaterThan(Date.parse(key.createdAt) - 1);
  expect(JSON.stringify(keys)).not.toContain(key.plaintext);

  for (const apiKey of ["wrong", token]) {
    const stranger = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
    const refusal = { status: 401, code: "invalid_api_key" };
    await expect(stranger.models.list()).rejects.toMatchObject(refusal);
  }
  await client.revokeDeploymentKey(deployment.id, key.id, scope);
  await expect(openai.models.list()).rejects.toMatchObject({ status: 401 });

  const changed = await client.updateDeployment(deployment.id, scope, {
    slug: "parcels",
    authMode: "none",
    customDomain: null,
  });
  expect(changed.deployment).toMatchObject({ slug: "parcels", authMode: "none" });
  await expect(openai.models.list()).rejects.toMatchObject({ status: 404 });
  const open = new OpenAI({ baseURL: `${url}/e/parcels/v1`, apiKey: "any", maxRetries: 0 });
  expect((await open.models.list()).data).toMatchObject([{ id: "parcels" }]);

  const again = client.createDeployment(scope, {
    slug: "parcels",
    target: deployment.target,
    authMode: "none",
  });
  await expect(again).rejects.toThrow(CloudApiError);
  await expect(again).rejects.toMatchObject({
    status: 409,
    message: expect.stringContaining("slug"),
  });
  await client.deleteDeployment(deployment.id, scope);
  await expect(client.getDeployment(deployment.id, scope)).rejects.toMatchObject({ status: 404 });
  await expect(open.models.list()).rejects.toMatchObject({ status: 404 });
});
