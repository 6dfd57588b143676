// Who a test is: an account, and a home directory of its own.
import { afterEach, beforeEach, vi } from "vitest";
import type { Credentials } from "../../index.js";
import { temporaryDirectory } from "./backend.ts";

export const OAUTH = {
  mode: "oauth",
  accessToken: "access-1",
  refreshToken: "refresh-1",
  expiresAt: 4_000_000_000,
  auth0Domain: "login.made-up.test",
  audience: "",
  clientId: "client",
} satisfies Credentials;

/** Each test of the file has an empty home directory, and no settings of the machine's. */
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
