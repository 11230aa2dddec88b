import assert from "node:assert/strict";
import { test } from "node:test";
import { offsetOf, positionAt, segmentOf } from "./segment_position.ts";

test("a position tells segment and offset, up to the last of them", () => {
  for (const segment of [1, 2, 77, 2 ** 26 - 1]) {
    for (const offset of [64, 72, 8 * 1024 * 1024 - 24, 2 ** 30 - 8]) {
      const position = positionAt(segment, offset);
      assert.ok(Number.isSafeInteger(position));
      assert.deepEqual([segmentOf(position), offsetOf(position)], [segment, offset]);
    }
  }
});

test("order of positions is order of arrival", () => {
  assert.ok(positionAt(1, 2 ** 30 - 8) < positionAt(2, 64));
  assert.ok(positionAt(2, 64) < positionAt(2, 72));
});
