// The identity of a test: an account, and its own home directory.
import { afterEach, beforeEach, vi } from "vitest";
import type { Credentials } from "../../index.js";
import { Backend, json, temporaryDirectory } from "./backend.ts";

export const OAUTH = {
  mode: "oauth",
  accessToken: "access-1",
  refreshToken: "refresh-1",
  expiresAt: 4_000_000_000,
  auth0Domain: "login.made-up.test",
  audience: "",
  clientId: "client",
} satisfies Credentials;

/**
 * An identity server that rotates the refresh token and refuses a used one. Comes with two of its logins: one
 * that is valid by the clock, and one that has expired.
 */
export async function identityServer() {
  const server = await Backend.start();
  let round = 1;
  server.on("POST /oauth/token", ({ body }, response) => {
    const { refresh_token, grant_type, client_id } = Object.fromEntries(new URLSearchParams(body));
    if (grant_type !== "refresh_token" || client_id !== OAUTH.clientId) {
      return json(response, 400, { error: "invalid_request" });
    }
    if (refresh_token !== `refresh-${round}`) {
      const error_description = `seen ${refresh_token}`;
      return json(response, 403, { error: "invalid_grant", error_description });
    }
    round += 1;
    json(response, 200, {
      access_token: `access-${round}`,
      refresh_token: `refresh-${round}`,
      expires_in: 3600,
    });
  });
  const login = { ...OAUTH, auth0Domain: server.url.replace("http://", "") };
  return { server, login, expired: { ...login, expiresAt: 1 } };
}

/** Gives each test of the file an empty home directory, without any settings of the machine. */
export function useTemporaryHome() {
  beforeEach(() => {
    const home = temporaryDirectory();
    vi.stubEnv("HOME", home);
    vi.stubEnv("USERPROFILE", home);
    vi.stubEnv("ARKOR_CLOUD_API_URL", undefined);
    vi.stubEnv("ARKOR_LOCAL_TOKEN", undefined);
  });
  afterEach(() => void vi.unstubAllEnvs());
}
