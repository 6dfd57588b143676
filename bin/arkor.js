#!/usr/bin/env node
// The `arkor` command. `--version` is handled here, before anything else is loaded, because scripts and
// shells often call it. All other arguments go to cli/main.js.

const args = process.argv.slice(2);

if (args.length === 1 && (args[0] === "--version" || args[0] === "-V")) {
  const { stdout } = process;
  stdout.on("error", (error) => require("../cli/main.js").onWriteError.call(stdout, error));
  stdout.write(`${require("../package.json").version}\n`);
} else {
  require("../cli/main.js").main(args);
}
