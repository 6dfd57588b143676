import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["__test__/**/*.test.ts"],
    // A test here may start processes or train a model; none of them is about time.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // What CI changes is tested where it's set: most tests here train the built-in model in place of another.
    env: { CI: "" },
    // The addon and what it prints are those of a plain Node process.
    pool: "forks",
  },
});
