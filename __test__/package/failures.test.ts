// The failed tests are repeated at the end of `npm test`, where a log that was cut off still has them.
import { expect, it } from "vitest";
import { cargoFailures, pytestFailures, vitestFailures } from "../../scripts/failures.mjs";

it("finds the failed tests in cargo's output", () => {
  const output =
    "test a::b ... FAILED\n\nfailures:\n\n---- a::b stdout ----\npanicked at x\nleft: 1\n\n" +
    "---- c stdout ----\nboo\n\nfailures:\n    a::b\n    c\n";
  expect(cargoFailures(output)).toEqual([
    "failed: a::b\n    panicked at x\n    left: 1",
    "failed: c\n    boo",
  ]);
});

it("finds the failed tests, and files, in Vitest's report", () => {
  const test = { fullName: "adds", status: "failed", failureMessages: ["expected 1\nto be 2"] };
  const testResults = [
    { name: "/a.test.ts", status: "failed", message: "no such module", assertionResults: [] },
    { name: "/b.test.ts", status: "failed", message: "", assertionResults: [test] },
    { name: "/c.test.ts", status: "passed", message: "", assertionResults: [] },
  ];
  expect(vitestFailures({ testResults })).toEqual([
    "failed: /a.test.ts\n    no such module",
    "failed: /b.test.ts: adds\n    expected 1\n    to be 2",
  ]);
});

it("finds the failed tests in pytest's summary", () => {
  const output = "FAILED tests/test_a.py::test_b - assert 1 == 2\n1 failed, 3 passed in 2s\n";
  expect(pytestFailures(output)).toEqual(["failed: tests/test_a.py::test_b\n    assert 1 == 2"]);
});
