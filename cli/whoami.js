// `arkor whoami`: the user that the backend sees, and the user's organisations.

const { whoami } = require("../lib/account.js");
const { printableJson } = require("../lib/printable.js");
const { arkorCommand } = require("./invocation.js");
const { print } = require("./output.js");

/**
 * @param {{ json?: boolean }} options
 * @returns {Promise<void>}
 */
async function showIdentity({ json }) {
  const me = await whoami();
  if (json) {
    process.stdout.write(`${printableJson(me ?? { user: null, orgs: [] })}\n`);
  } else if (me) {
    process.stdout.write(`${printableJson(me.user)}\n`);
    print(`Orgs: ${me.orgs.map(({ slug }) => slug).join(", ")}`);
  } else {
    print(`Not signed in. Sign in with: ${arkorCommand("login")}`);
  }
}

module.exports = { showIdentity };
