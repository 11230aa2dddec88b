import assert from "node:assert/strict";
import { test } from "node:test";
import { textOf } from "./failure.ts";

test("what is said at the end names the errno, once", () => {
  const withCode = (message: string) => Object.assign(new Error(message), { code: "EIO" });
  assert.equal(textOf(withCode("Input/output error (os error 5)")), "Input/output error (os error 5) (EIO)");
  assert.equal(textOf(withCode("EIO: i/o error, write")), "EIO: i/o error, write");
  assert.equal(textOf(new Error("plain")), "plain");
  assert.equal(textOf("a word"), "a word");
});
