// An identity server on 127.0.0.1 that implements the parts of RFC 6749 and RFC 7636 that a login needs. It
// remembers what each code was issued for, and issues tokens only once, and only for the right verifier.
import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { Backend, json, type Received } from "./backend.ts";

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Issued {
  clientId: string | null;
  challenge: string | null;
  redirectUri: string | null;
}

export class IdentityServer {
  /** Whether a login also gets a refresh token. */
  givesRefreshToken = true;
  readonly #codes = new Map<string, Issued>();
  #refreshToken = "refresh-1";
  #round = 1;

  private constructor(readonly server: Backend) {
    server.on("GET /authorize", (request, response) => this.#authorize(request, response));
    server.on("POST /oauth/token", (request, response) => this.#token(request, response));
  }

  static async start(): Promise<IdentityServer> {
    return new IdentityServer(await Backend.start());
  }

  /** The domain, in the form in which a deployment names it. */
  get domain(): string {
    return this.server.url.replace("http://", "");
  }

  get tokenRequests(): URLSearchParams[] {
    return this.server.to("POST /oauth/token").map(({ body }) => new URLSearchParams(body));
  }

  #authorize({ target }: Received, response: ServerResponse) {
    const query = new URL(target, this.server.url).searchParams;
    const redirectUri = query.get("redirect_uri") ?? "";
    const isUsable =
      query.get("response_type") === "code" && query.get("code_challenge_method") === "S256";
    if (!isUsable) return json(response, 400, { error: "invalid_request" });
    const code = `code-${this.#codes.size + 1}`;
    const challenge = query.get("code_challenge");
    this.#codes.set(code, { clientId: query.get("client_id"), challenge, redirectUri });
    const back = new URL(redirectUri);
    back.searchParams.set("code", code);
    back.searchParams.set("state", query.get("state") ?? "");
    response.writeHead(302, { location: back.href }).end();
  }

  #token({ body }: Received, response: ServerResponse) {
    const form = new URLSearchParams(body);
    const isRight =
      form.get("grant_type") === "refresh_token"
        ? form.get("refresh_token") === this.#refreshToken
        : this.#redeems(form);
    if (!isRight) return json(response, 403, { error: "invalid_grant" });
    this.#round += 1;
    // Rotated on each use: a used refresh token is no longer valid.
    this.#refreshToken = `refresh-${this.#round}`;
    const token = { access_token: `access-${this.#round}`, token_type: "Bearer", expires_in: 3600 };
    const refresh = this.givesRefreshToken ? { refresh_token: this.#refreshToken } : {};
    json(response, 200, { ...token, ...refresh });
  }

  #redeems(form: URLSearchParams): boolean {
    const code = form.get("code") ?? "";
    const issued = this.#codes.get(code);
    this.#codes.delete(code);
    const verifier = form.get("code_verifier") ?? "";
    const challenge = createHash("sha256").update(verifier).digest("base64url");
    return (
      verifier.length >= 43 &&
      issued?.challenge === challenge &&
      issued.clientId === form.get("client_id") &&
      issued.redirectUri === form.get("redirect_uri")
    );
  }
}
