// The local backend for this machine: where its binary is, and one for a test or a script to talk to.

const { binaryPath } = require("./binary.js");
const { startBackend } = require("./start.js");

module.exports = { binaryPath, startBackend };
