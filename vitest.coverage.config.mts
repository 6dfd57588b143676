import { defineConfig } from "vitest/config";

// The JavaScript half of `npm run coverage`: all tests that go through the engine.
export default defineConfig({
  test: {
    include: ["__test__/{contract,client,cli}/*.test.ts"],
    // These tests install packages, train or type at a terminal.
    exclude: [
      "__test__/cli/{example,init,local,local-openai,new-user,real,terminal-prompts,terminal-run}.test.ts",
    ],
    testTimeout: 60_000,
    pool: "forks",
    coverage: {
      enabled: true,
      provider: "v8",
      include: ["index.js", "lib/**/*.js"],
      // The tests of these files start processes, which V8's counters don't reach.
      exclude: ["lib/{account,addon,arkor,run}.js"],
      reporter: ["text"],
    },
  },
});
