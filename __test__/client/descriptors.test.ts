// A process without free file descriptors: the call fails with the system's error code, and the next one works.
import { spawn } from "node:child_process";
import { expect, it, onTestFinished } from "vitest";
import { Backend, CREDENTIALS, JOB } from "../support/backend.ts";
import { ROOT } from "../support/process.ts";

/** Runs a script that may open at most 64 files. */
function runWithFewDescriptors(
  code: string,
  { isLoaded = true } = {},
): Promise<{ code: number | null; output: string }> {
  const source = `
    const fs = require("node:fs");
    const arkor = require(${JSON.stringify(ROOT)});
    // This loads the addon.
    if (${isLoaded}) arkor.defaultArkorCloudApiUrl();
    const held = [];
    const exhaust = () => { try { for (;;) held.push(fs.openSync("/dev/null")); } catch {} };
    const release = () => { for (const file of held.splice(0)) fs.closeSync(file); };
    const show = (error) => console.log(error.name, error.message, error.cause?.code);
    (async () => { ${code} })();`;
  const limited = ["-c", 'ulimit -n 64 && exec "$0" "$@"', process.execPath, "-e", source];
  const child = spawn("sh", limited, { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  return new Promise((resolve) => {
    child.once("close", (code) => resolve({ code, output }));
  });
}

const client = (baseUrl: string) =>
  `new arkor.CloudApiClient(${JSON.stringify({ baseUrl, credentials: CREDENTIALS })})`;
const call = `getJob("${JOB.id}", { orgSlug: "o", projectSlug: "p" })`;

it("EMFILE at the first call is told by its code, is not for ever, and the process can end", async () => {
  const backend = await Backend.start();
  const finished = await runWithFewDescriptors(`
    const client = ${client(backend.url)};
    exhaust();
    await client.${call}.catch(show);
    await client.${call}.catch(show);
    release();
    console.log((await client.${call}).job.id);`);
  const line = "TypeError fetch failed EMFILE\n";
  expect(finished).toEqual({ code: 0, output: `${line}${line}${JOB.id}\n` });
});

it("EMFILE at a first call that nothing follows does not keep the process from ending", async () => {
  const finished = await runWithFewDescriptors(`
    exhaust();
    await arkor.readState("/").catch(show);
    release();`);
  expect(finished).toEqual({ code: 0, output: "TypeError fetch failed EMFILE\n" });
});

it("EMFILE at a later connection is told by its code", async () => {
  const [one, other] = [await Backend.start(), await Backend.start()];
  const finished = await runWithFewDescriptors(`
    await ${client(one.url)}.${call};
    exhaust();
    await ${client(other.url)}.${call}.catch(show);
    release();
    console.log((await ${client(other.url)}.${call}).job.id);`);
  expect(finished).toEqual({ code: 0, output: `TypeError fetch failed EMFILE\n${JOB.id}\n` });
});

it("EMFILE when the engine is loaded is no broken installation, and the next call works", async () => {
  const finished = await runWithFewDescriptors(
    `exhaust();
    await arkor.readState("/").catch(show);
    release();
    console.log(await arkor.readState("/"));`,
    { isLoaded: false },
  );
  expect(finished.output).toMatch(
    /^Error arkor's native engine can't be loaded: too many files are open\..* EMFILE\nnull\n$/,
  );
  expect(finished.code).toBe(0);
});
