import { defineConfig } from "vitest/config";

// `npm run test:torch`: the tests that need Python. One file at a time, because each keeps all cores busy.
export default defineConfig({
  test: {
    include: process.env.ARKOR_TEST_RAY
      ? ["__test__/torch/*.ray.ts"]
      : ["__test__/torch/*.torch.ts"],
    testTimeout: 400_000,
    hookTimeout: 60_000,
    pool: "forks",
    fileParallelism: false,
  },
});
