import type { TestAPI } from "vitest";
import type { Backend, BackendOptions } from "./index.js";

/** What the tests of {@link test} can take, besides Vitest's own. */
export interface BackendFixture {
  /** The backend of this test file. */
  backend: Backend;
}

/**
 * Vitest's `test` with a local backend for each file that uses it: started before its first test, ended
 * after its last one. While it runs, `ARKOR_CLOUD_API_URL` and `ARKOR_LOCAL_TOKEN` point at it, so that
 * trainers and clients of the tests use it.
 *
 * @example
 * ```ts
 * import { test } from "@arkor/local/vitest";
 * import { createTrainer } from "arkor";
 * import { expect } from "vitest";
 *
 * test("a dry run completes", async ({ backend }) => {
 *   const dataset = { type: "file", path: "data/tickets.jsonl" } as const;
 *   const { job } = await createTrainer({ name: "t", model: "arkor-tiny", dataset, dryRun: true }).wait();
 *   expect(job.status, `see ${backend.store}`).toBe("completed");
 * });
 * ```
 */
export declare const test: TestAPI<BackendFixture>;
export { test as it };

/**
 * The same with options for the backend, such as a model of one's own. Call it at the top of the test file.
 */
export declare function testWith(options?: BackendOptions): TestAPI<BackendFixture>;
