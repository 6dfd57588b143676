// Constrained JSON went on with white space until the answer was cut off.
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { CASES, startLocalServer } from "./local-backend.ts";

const request = JSON.parse(
  readFileSync(path.join(CASES, "19-json-whitespace/request.json"), "utf8"),
);

it("every answer is whole, at temperature 0 and above", async () => {
  const server = await startLocalServer();
  for (const temperature of [0, 0.7]) {
    for (let seed = 0; seed < 20; seed++) {
      const { body } = await server.chat({ ...request, temperature, seed });
      const [{ message, finish_reason }] = body.choices;
      expect(finish_reason, message.content).toBe("stop");
      expect(Object.keys(JSON.parse(message.content))).toEqual(["label", "urgent"]);
      expect(message.content).not.toMatch(/\s\s/);
    }
  }
});
