#!/usr/bin/env node
// `npm create arkor [dir]`: `arkor init [dir]`, of the arkor that this package depends on. `arkor init`
// installs with the package manager that runs it, which is the one that was asked for this package.

const path = require("node:path");

const arkor = path.dirname(require.resolve("arkor/package.json"));
process.argv.splice(2, 0, "init");
require(path.join(arkor, "bin/arkor.js"));
