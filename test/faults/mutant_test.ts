import assert from "node:assert/strict";
import { test } from "node:test";
import { replaceOnce } from "./mutant.ts";

test("an edit replaces the one place that it names", () => {
  assert.equal(replaceOnce("a b c", "b", "B", "f"), "a B c");
});

test("an edit whose place is missing, or there twice, is refused", () => {
  assert.throws(() => replaceOnce("a c", "b", "B", "f"), /f has 0 places/);
  assert.throws(() => replaceOnce("b b", "b", "B", "f"), /f has 2 places/);
});
