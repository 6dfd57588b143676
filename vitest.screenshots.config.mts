import { defineConfig } from "vitest/config";

// `npm run screenshots`: creates the pictures of Studio in docs/images, from a real run on the local backend.
export default defineConfig({
  test: {
    include: ["__test__/studio/*.shots.ts"],
    testTimeout: 240_000,
    hookTimeout: 60_000,
    pool: "forks",
  },
});
