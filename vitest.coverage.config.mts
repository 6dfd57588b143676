import { defineConfig } from "vitest/config";

// Half of `npm run coverage`: everything that goes through the engine in this process.
export default defineConfig({
  test: {
    include: ["__test__/*.test.ts"],
    exclude: ["__test__/{bench,docs,local,package,workflows}*.test.ts", "__test__/cli-*"],
    testTimeout: 60_000,
    pool: "forks",
    coverage: {
      enabled: true,
      provider: "v8",
      include: ["index.js", "lib/**/*.js"],
      reporter: ["text"],
    },
  },
});
