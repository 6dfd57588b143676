// Decides which requests are allowed. Studio runs the user's code and uses the user's token, so it refuses
// pages of other origins, rebound DNS names and other users of this machine.

const { createHash, timingSafeEqual } = require("node:crypto");

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const TOKEN_HEADER = "x-arkor-studio-token";

/**
 * @param {{ token: string, port: () => number }} launch
 * @returns {import("hono").MiddlewareHandler}
 */
function guard({ token, port }) {
  return async (context, next) => {
    const header = (/** @type {string} */ name) => context.req.header(name);
    if (!isOwnHost(header("host"), port()) || !isOwnOrigin(header("origin"), header("host"))) {
      return secured(context.json({ error: "Studio API is loopback-only" }, 403));
    }
    const isApi = /^\/api(\/|$)/.test(context.req.path);
    if (isApi && !isSame(header(TOKEN_HEADER) ?? "", token)) {
      return secured(context.json({ error: "Missing or invalid studio token" }, 403));
    }
    await next();
    secured(context.res);
    if (isApi && !context.res.headers.has("cache-control")) {
      context.res.headers.set("cache-control", "no-store");
    }
  };
}

/** @param {Response} response */
function secured(response) {
  response.headers.set("content-security-policy", POLICY);
  response.headers.set("x-content-type-options", "nosniff");
  response.headers.set("referrer-policy", "no-referrer");
  response.headers.set("cross-origin-resource-policy", "same-origin");
  return response;
}

/**
 * @param {string | undefined} host
 * @param {number} port
 */
function isOwnHost(host, port) {
  const name = host?.toLowerCase();
  return ["127.0.0.1", "localhost", "[::1]"].some((own) => name === `${own}:${port}`);
}

/**
 * @param {string | undefined} origin absent in a navigation, and in a request from outside a browser
 * @param {string | undefined} host
 */
function isOwnOrigin(origin, host) {
  return origin === undefined || origin.toLowerCase() === `http://${host?.toLowerCase()}`;
}

/**
 * Compares in constant time, regardless of the lengths.
 * @param {string} given
 * @param {string} token
 */
function isSame(given, token) {
  const digest = (/** @type {string} */ text) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}

module.exports = { TOKEN_HEADER, guard };
