import { defineConfig } from "vitest/config";

// `npm run test:fire`: the tests that take longer than half a minute. One file at a time, because they
// measure.
export default defineConfig({
  test: {
    include: ["__test__/fire/*.fire.ts"],
    testTimeout: 600_000,
    pool: "forks",
    fileParallelism: false,
  },
});
