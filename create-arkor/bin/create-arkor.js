#!/usr/bin/env node
// `npm create arkor [dir]`: runs `arkor init [dir]` of the arkor that this package depends on. `arkor init`
// installs with the package manager that started it, so with the one that the user chose here.

const path = require("node:path");

const arkor = path.dirname(require.resolve("arkor/package.json"));
process.argv.splice(2, 0, "init");
require(path.join(arkor, "bin/arkor.js"));
