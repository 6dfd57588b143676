import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["__test__/**/*.test.ts"],
    // A test may start processes or train a model, so the timeouts are long. No test measures time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // The effects of CI are tested where a test sets it: most tests train the built-in model in place of
    // another.
    env: { CI: "" },
    // The addon and its output are tested in plain Node processes.
    pool: "forks",
  },
});
