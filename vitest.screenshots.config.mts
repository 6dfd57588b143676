import { defineConfig } from "vitest/config";

// `npm run screenshots`: the pictures of Studio in docs/images, of a real run on the local backend.
export default defineConfig({
  test: {
    include: ["__test__/studio/*.shots.ts"],
    testTimeout: 240_000,
    hookTimeout: 60_000,
    pool: "forks",
  },
});
