// Who may call Studio's server, and what anybody else gets: nothing.
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { ROOT } from "../support/command.ts";
import { StudioCloud } from "./support/cloud.ts";
import { cloudStudio } from "./support/cloud-project.ts";
import type { Studio } from "./support/studio.ts";

interface Answer {
  status: number;
  body: string;
  headers: Record<string, string | string[] | undefined>;
}

/** A request with whatever headers: `fetch` would not send these. */
function ask(studio: Studio, at: string, headers: Record<string, string>, method = "GET") {
  return new Promise<Answer>((resolve, reject) => {
    const { port } = new URL(studio.origin);
    const options = { host: "127.0.0.1", port, path: at, method, headers };
    const sent = request(options, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text) => {
        body += text;
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
      );
    });
    sent.once("error", reject);
    sent.end();
  });
}

const LOOPBACK_ONLY = { error: "Studio API is loopback-only" };
const NO_TOKEN = { error: "Missing or invalid studio token" };

let studio: Studio;
beforeEach(async () => {
  studio = await cloudStudio(await StudioCloud.forTest());
});

const own = () => new URL(studio.origin).host;
const token = () => ({ "x-arkor-studio-token": studio.token });

it("a foreign Host gets nothing, be it the page or the API, with or without the token", async () => {
  const { port } = new URL(studio.origin);
  const hosts = [
    `evil.example:${port}`,
    `localhost.evil.example:${port}`,
    "localhost",
    "localhost:1",
  ];
  for (const host of hosts) {
    for (const at of ["/", "/api/jobs", "/api/credentials"]) {
      const answer = await ask(studio, at, { host, ...token() });
      expect([host, at, answer.status, JSON.parse(answer.body)]).toEqual([
        host,
        at,
        403,
        LOOPBACK_ONLY,
      ]);
    }
  }
  for (const host of [`127.0.0.1:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`]) {
    expect((await ask(studio, "/api/runs", { host, ...token() })).status).toBe(200);
  }
});

it("a page of another origin gets nothing, whatever token it has", async () => {
  for (const origin of ["http://evil.example", "null", "http://localhost:1", `https://${own()}`]) {
    const answer = await ask(studio, "/api/jobs", { host: own(), origin, ...token() });
    expect([origin, answer.status, JSON.parse(answer.body)]).toEqual([origin, 403, LOOPBACK_ONLY]);
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
  }
  const same = await ask(studio, "/api/runs", { host: own(), origin: studio.origin, ...token() });
  expect(same.status).toBe(200);
});

it("no call is answered without the token, and a wrong one is none", async () => {
  const wrong = [undefined, "", "x", `${studio.token}x`, studio.token.slice(0, -1)];
  for (const given of wrong) {
    for (const [method, at] of [
      ["GET", "/api/jobs"],
      ["GET", "/api/nothing"],
      ["POST", "/api/train"],
      ["GET", "/api"],
    ] as const) {
      const headers = {
        host: own(),
        ...(given !== undefined && { "x-arkor-studio-token": given }),
      };
      const answer = await ask(studio, at, headers, method);
      expect([given, at, answer.status, JSON.parse(answer.body)]).toEqual([
        given,
        at,
        403,
        NO_TOKEN,
      ]);
    }
  }
  expect(await (await studio.api("/api/runs")).json()).toEqual({ runs: [] });
});

it("a token in the address is none", async () => {
  const at = `/api/jobs?token=${studio.token}&studioToken=${studio.token}`;
  expect((await ask(studio, at, { host: own() })).status).toBe(403);
});

describe("another user of the machine", () => {
  it("finds no secret in the page, in its files or in the process's arguments", async () => {
    const page = path.join(ROOT, "cli/dev/page");
    const files = readdirSync(page, { recursive: true, encoding: "utf8" });
    for (const file of ["", ...files.filter((name) => /\.\w+$/.test(name))]) {
      const answer = await ask(studio, `/${file}`, { host: own() });
      expect([file, answer.status]).toEqual([file, 200]);
      expect(answer.body).not.toContain(studio.token);
      expect(JSON.stringify(answer.headers)).not.toContain(studio.token);
    }
    if (process.platform === "linux") {
      const args = readFileSync(`/proc/${studio.running.pid}/cmdline`, "utf8");
      expect(args).not.toContain(studio.token);
    }
  });

  it("can't read the token's file", () => {
    const file = path.join(studio.project.home, ".arkor/studio-token");
    expect(readFileSync(file, "utf8")).toBe(studio.token);
    expect(Buffer.from(studio.token, "base64url")).toHaveLength(32);
    if (process.platform !== "win32") expect(statSync(file).mode & 0o777).toBe(0o600);
  });
});

it("the token's file goes with the server that wrote it, and only then", async () => {
  const file = path.join(studio.project.home, ".arkor/studio-token");
  studio.running.kill("SIGTERM");
  await studio.running.exit;
  expect(existsSync(file)).toBe(false);
});

it("a later Studio's token stays when an earlier one ends", async () => {
  const file = path.join(studio.project.home, ".arkor/studio-token");
  writeFileSync(file, "the later one's");
  studio.running.kill("SIGTERM");
  await studio.running.exit;
  expect(readFileSync(file, "utf8")).toBe("the later one's");
});

it("every answer forbids inline code, sniffing, referrers and frames", async () => {
  for (const at of ["/", "/api/runs", "/nothing"]) {
    const { headers } = await ask(studio, at, { host: own(), ...token() });
    const policy = String(headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe");
    expect(headers["x-content-type-options"]).toBe("nosniff");
    expect(headers["referrer-policy"]).toBe("no-referrer");
  }
});

it("the cloud's token never comes out", async () => {
  for (const at of ["/api/credentials", "/api/me", "/api/jobs", "/api/manifest"]) {
    const answer = await studio.api(at);
    expect([at, answer.status]).toEqual([at, 200]);
    expect(await answer.text()).not.toContain("the-token");
  }
  expect(await (await studio.api("/api/credentials")).json()).toMatchObject({
    mode: "anon",
    token: "redacted",
    orgSlug: "acme",
    projectSlug: "tickets",
  });
});
