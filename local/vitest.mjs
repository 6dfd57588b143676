// A fixture for Vitest: a local backend for each test file, which the trainers of its tests train on.

import { test as base } from "vitest";
import local from "./index.js";

/** @param {import("./index.js").BackendOptions} [options] */
export function testWith(options) {
  return base.extend({
    backend: [
      // Vitest reads the names of the fixtures that this one needs from the pattern.
      // biome-ignore lint/correctness/noEmptyPattern: there are none
      async ({}, use) => {
        const backend = await local.startBackend(options);
        const names = Object.keys(backend.env);
        const before = names.map((name) => /** @type {const} */ ([name, process.env[name]]));
        Object.assign(process.env, backend.env);
        try {
          await use(backend);
        } finally {
          for (const [name, value] of before) {
            if (value === undefined) delete process.env[name];
            else process.env[name] = value;
          }
          await backend.stop();
        }
      },
      { scope: "file", auto: true },
    ],
  });
}

export const test = testWith();
export { test as it };
