// Stands in for `arkor-local` in tests of its failures. It trains nothing. FAKE_BACKEND selects the failure:
// `silent` never becomes ready, `broken` exits before it's ready, `dying` exits as soon as it's ready.
// Without it, the process becomes ready and runs until its stdin closes. FAKE_VERSION is the version that it
// reports; if it's empty, it reports none.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    store: { type: "string" },
    "with-parent": { type: "boolean", default: false },
    "no-runs": { type: "boolean" },
    "base-model": { type: "string" },
    "strict-model": { type: "boolean" },
    engine: { type: "string" },
    memory: { type: "string" },
    "max-failures": { type: "string" },
    worker: { type: "string" },
    "worker-arg": { type: "string", multiple: true },
    listen: { type: "string" },
    "tls-cert": { type: "string" },
    "tls-key": { type: "string" },
  },
});
const mode = process.env.FAKE_BACKEND;
const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
const version = (process.env.FAKE_VERSION ?? JSON.parse(manifest).version) || undefined;

process.stdin.resume();
process.stdin.on("end", () => {
  if (mode !== "stubborn") process.exit(0);
});
process.on("SIGTERM", () => {
  if (mode !== "stubborn") process.exit(0);
});

if (mode === "silent") {
  process.stderr.write("fake: loading weights\n");
} else if (mode === "broken") {
  process.stderr.write("fake: the store is not writable\n");
  process.exitCode = 3;
  process.stdin.destroy();
} else {
  const token = process.env.ARKOR_LOCAL_TOKEN ?? randomBytes(8).toString("hex");
  const server = createServer((_, response) => response.end("here"));
  server.listen(Number(values.port), "127.0.0.1", () => {
    const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
    const ready = { url: `http://127.0.0.1:${port}`, token, version };
    process.stdout.write(`${JSON.stringify(ready)}\n`);
    process.stderr.write(`fake: pid=${process.pid} port=${port} token=${token}\n`);
    process.stderr.write(`fake: ${JSON.stringify(values)}\n`);
    if (mode === "dying") process.exit(7);
  });
}
