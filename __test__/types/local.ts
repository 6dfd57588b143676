// How tests and scripts use @arkor/local.
import { type Backend, type BackendOptions, binaryPath, startBackend } from "@arkor/local";
import { it, test, testWith } from "@arkor/local/vitest";

const options: BackendOptions = {
  store: "store",
  baseModel: "models/smollm2",
  args: ["--max-failures", "3"],
  onLog: (line) => line.length,
};

startBackend(options).then(async (backend: Backend) => {
  Object.assign(process.env, backend.env);
  await backend.stop();
  console.log(binaryPath(), backend.url, backend.token, backend.store);
});

test("a test", ({ backend, expect }) => {
  expect(backend.url satisfies string).toContain("http");
});
it.each([1, 2])("%d", (value) => {
  console.log(value.toFixed());
});
testWith(options)("another", async ({ backend }) => backend.stop());
// The backend's fixtures can be extended like Vitest's own.
test.extend<{ more: number }>({ more: 1 })("more", ({ backend, more }) => {
  console.log(backend.env.ARKOR_LOCAL_TOKEN, more);
});

// @ts-expect-error a port is a number
startBackend({ port: "4820" });
// @ts-expect-error the address is the backend's to say
startBackend({ url: "http://127.0.0.1" });
