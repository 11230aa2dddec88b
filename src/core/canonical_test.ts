import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { argumentsEqual, type ArgumentValue } from "./arguments.ts";
import { canonicalText } from "./canonical.ts";

const { value } = fc.letrec<{ value: ArgumentValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<ArgumentValue>(null, true, false, "", "1", "a:b", 0, 1, 1n, 1.5, 2n ** 62n),
    fc.string(),
    fc.integer(),
    fc.uint8Array({ maxLength: 3 }),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.array(fc.tuple(fc.constantFrom("a", "b", ""), tie("value")), { maxLength: 3 }).map((members) =>
      new Map(members)
    ),
  ),
}));

test("two values have the same text exactly when they are equal", () => {
  fc.assert(
    fc.property(value, value, (a, b) => {
      assert.equal(canonicalText(a) === canonicalText(b), argumentsEqual(a, b));
    }),
    { numRuns: 3000 },
  );
});

test("neither order of a table nor width of a number shows, what lies inside does", () => {
  const table = (...members: [string, ArgumentValue][]) => canonicalText(new Map(members));
  assert.equal(table(["a", 1], ["b", [2n]]), table(["b", [2]], ["a", 1n]));
  assert.notEqual(table(["a", 1], ["b", 2]), table(["a", 2], ["b", 1]));
  assert.notEqual(table(["a", "1"]), table(["a", 1]));
  assert.notEqual(canonicalText(["ab", "c"]), canonicalText(["a", "bc"]));
  assert.equal(canonicalText({ type: "D", value: { scale: 1, value: 15 } }), canonicalText(1.5));
});
