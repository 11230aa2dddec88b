import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfirmWindow } from "./confirm_window.ts";

test("a cumulative confirm makes room for all it covers", () => {
  const window = new ConfirmWindow(10);
  window.sent = 10;
  assert.equal(window.room, 0);
  window.settle(7, true, true);
  assert.deepEqual([window.room, window.accepted, window.idle], [7, 7, false]);
  window.settle(0, true, true);
  assert.deepEqual([window.room, window.accepted, window.idle], [10, 10, true]);
});

test("confirms out of order are counted once each", () => {
  const window = new ConfirmWindow(4);
  window.sent = 4;
  window.settle(3, false, true);
  window.settle(2, false, false);
  assert.equal(window.room, 0, "the window still begins at the oldest");
  window.settle(1, false, true);
  assert.equal(window.room, 3);
  window.settle(3, true, true);
  window.settle(4, true, true);
  assert.deepEqual([window.accepted, window.rejected, window.idle], [3, 1, true]);
});

test("a window of one goes round for ever", () => {
  const window = new ConfirmWindow(1);
  for (let tag = 1; tag <= 100; tag++) {
    window.sent++;
    assert.equal(window.room, 0);
    window.settle(tag, false, true);
    assert.equal(window.room, 1);
  }
  assert.equal(window.accepted, 100);
});

test("tags that were never sent change nothing", () => {
  const window = new ConfirmWindow(4);
  window.sent = 2;
  window.settle(3, true, true);
  assert.deepEqual([window.accepted, window.room], [0, 2]);
});
