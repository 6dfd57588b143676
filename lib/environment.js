// Reads the process's settings for Rust, at the time of each call: a worker has its own environment, which
// native code can't see (T36).
"use strict";

const { homedir } = require("node:os");
const path = require("node:path");

/** The `Environment` of `src/environment.rs`. */
function readEnvironment() {
  const { env } = process;
  return {
    ...readHome(),
    cloudApiUrl: env.ARKOR_CLOUD_API_URL,
    localToken: env.ARKOR_LOCAL_TOKEN || undefined,
    network: {
      httpProxy: env.http_proxy ?? env.HTTP_PROXY,
      httpsProxy: env.https_proxy ?? env.HTTPS_PROXY,
      noProxy: env.no_proxy ?? env.NO_PROXY,
      extraCaCerts: env.NODE_EXTRA_CA_CERTS,
    },
    packageManager: packageManager(),
  };
}

/**
 * The home directory, or the reason why it can't be used. That fails only the calls that need a file in it. A
 * relative path is refused, because the login would end up in the current working directory.
 * @returns {{ home: string, homeFault?: undefined } | { home?: undefined, homeFault: string }}
 */
function readHome() {
  const home = homeOfUser();
  if (home !== undefined && path.isAbsolute(home)) return { home };
  const variable = process.platform === "win32" ? "USERPROFILE" : "HOME";
  const state =
    home === undefined
      ? "not set, and the system knows no home directory of this user"
      : home === ""
        ? "empty"
        : "not an absolute path";
  return {
    homeFault: `${variable} is ${state}, so there is no place for the login. Set it to an absolute path, or pass \`credentials\` yourself.`,
  };
}

/** @returns {string | undefined} */
function homeOfUser() {
  try {
    return homedir();
  } catch {
    // A container's user may be missing from the user database.
    return undefined;
  }
}

/** The package manager that started the process, or in whose directory the running script is. */
function packageManager() {
  const agent = process.env.npm_config_user_agent?.split("/")[0];
  const known = ["npm", "pnpm", "yarn", "bun"];
  if (agent !== undefined && known.includes(agent)) return agent;
  const script = (process.argv[1] ?? "").replaceAll("\\", "/");
  return ["pnpm", "yarn", "bun"].find(
    (name) => script.includes(`/.${name}/`) || script.includes(`/${name}/`),
  );
}

module.exports = { readEnvironment, readHome };
