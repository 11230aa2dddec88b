import { test } from "node:test";
import assert from "node:assert/strict";
import { argumentsEqual, argumentsFromJson, argumentsToJson, type ArgumentValue } from "./arguments.ts";

const samples: ArgumentValue[] = [
  null,
  true,
  7,
  -1.5,
  2n ** 62n,
  "text",
  Uint8Array.of(0, 255),
  [1, "two", [3n]],
  new Map<string, ArgumentValue>([["a", 1], ["__proto__", new Map([["b", "c"]])]]),
  Infinity,
];

test("every argument value survives JSON", () => {
  for (const value of samples) {
    const back = argumentsFromJson(JSON.parse(JSON.stringify(argumentsToJson(value))));
    assert.deepEqual(back, value);
    assert.ok(argumentsEqual(back, value));
  }
});

test("different values are not equal, numbers compare by value", () => {
  for (const [index, value] of samples.entries()) {
    for (const [other, second] of samples.entries()) {
      assert.equal(argumentsEqual(value, second), index === other);
    }
  }
  assert.ok(argumentsEqual(5n, 5));
  assert.ok(!argumentsEqual(5n, "5"));
  assert.ok(argumentsEqual(new Map([["a", 1], ["b", 2]]), new Map([["b", 2], ["a", 1]])));
});

test("a JSON value that is no argument is refused", () => {
  assert.throws(() => argumentsFromJson({ other: 1 }), TypeError);
});
