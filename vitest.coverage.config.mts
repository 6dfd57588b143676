import { defineConfig } from "vitest/config";

// Half of `npm run coverage`: everything that goes through the engine.
export default defineConfig({
  test: {
    include: ["__test__/{contract,client,cli}/*.test.ts"],
    // They install, train or type.
    exclude: [
      "__test__/cli/{example,init,local,local-openai,new-user,real,terminal-prompts,terminal-run}.test.ts",
    ],
    testTimeout: 60_000,
    pool: "forks",
    coverage: {
      enabled: true,
      provider: "v8",
      include: ["index.js", "lib/**/*.js"],
      // Their tests start processes, which V8's counters do not reach.
      exclude: ["lib/{account,addon,arkor,run}.js"],
      reporter: ["text"],
    },
  },
});
