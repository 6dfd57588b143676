// How long an idle connection is reused: no longer than the server announces that it keeps it.
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { CloudApiClient } from "../../index.js";
import { CREDENTIALS } from "../support/backend.ts";

/** The connections of two requests, one after the other, to a server that answers with this header. */
async function connections(header: string | undefined) {
  const sockets: Socket[] = [];
  const server = createServer((request, response) => {
    sockets.push(request.socket);
    if (header !== undefined) response.setHeader("Keep-Alive", header);
    response.setHeader("Content-Type", "application/json");
    response.end('{"deployments":[]}');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const baseUrl = `http://127.0.0.1:${port}`;
  const client = new CloudApiClient({ baseUrl, credentials: CREDENTIALS });
  const scope = { orgSlug: "o", projectSlug: "p" };
  for (let count = 0; count < 3; count += 1) await client.listDeployments(scope);
  return new Set(sockets).size;
}

it.each([undefined, "timeout=5", "max=100", "timeout=60, max=10"])(
  "with Keep-Alive: %s a connection is used again",
  async (header) => {
    expect(await connections(header)).toBe(1);
  },
);

it.each(["timeout=1", "timeout=0", 'max=10, Timeout="1"'])(
  "with Keep-Alive: %s the server may be closing it already, so the next request opens one",
  async (header) => {
    expect(await connections(header)).toBe(3);
  },
);
