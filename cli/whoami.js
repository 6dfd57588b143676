// `arkor whoami`: who the backend says that we are.

const { whoami } = require("../lib/account.js");

/**
 * @param {{ json?: boolean }} options
 * @returns {Promise<void>}
 */
async function showIdentity({ json }) {
  const me = await whoami();
  if (json) {
    process.stdout.write(`${JSON.stringify(me ?? { user: null, orgs: [] }, null, 2)}\n`);
  } else if (me) {
    process.stdout.write(`${JSON.stringify(me.user, null, 2)}\n`);
    process.stdout.write(`Orgs: ${me.orgs.map(({ slug }) => slug).join(", ")}\n`);
  } else {
    process.stdout.write("Not signed in. Sign in with: arkor login\n");
  }
}

module.exports = { showIdentity };
