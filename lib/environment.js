// What Rust needs to know of the process, read at the time of a call: a worker has an
// environment of its own, which native code does not see (T36).
"use strict";

const { homedir } = require("node:os");

/** `Environment` of `src/environment.rs`. */
function readEnvironment() {
  const { env } = process;
  return {
    home: homedir(),
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

/** The package manager that runs us, or from whose folder the running script comes. */
function packageManager() {
  const agent = process.env.npm_config_user_agent?.split("/")[0];
  const known = ["npm", "pnpm", "yarn", "bun"];
  if (agent !== undefined && known.includes(agent)) return agent;
  const script = (process.argv[1] ?? "").replaceAll("\\", "/");
  return ["pnpm", "yarn", "bun"].find(
    (name) => script.includes(`/.${name}/`) || script.includes(`/${name}/`),
  );
}

module.exports = { readEnvironment };
