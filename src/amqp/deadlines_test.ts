import assert from "node:assert/strict";
import { test } from "node:test";
import { Deadlines } from "./deadlines.ts";

const HANDSHAKE_MS = 10_000;

test("a handshake has one deadline, whatever is said meanwhile", () => {
  const deadlines = new Deadlines(1000, HANDSHAKE_MS);
  deadlines.heard = true;
  assert.equal(deadlines.judge(1000 + HANDSHAKE_MS), "fine");
  deadlines.heard = true;
  assert.equal(deadlines.judge(1001 + HANDSHAKE_MS), "not-opened");
});

test("an open connection is taken for dead after two intervals without a byte", () => {
  const deadlines = new Deadlines(0, HANDSHAKE_MS);
  deadlines.opened(100);
  deadlines.spoke(150);
  deadlines.heard = true;
  assert.equal(deadlines.judge(150), "fine");
  deadlines.spoke(350);
  assert.equal(deadlines.judge(350), "fine");
  assert.equal(deadlines.judge(351), "silent");
  deadlines.heard = true;
  deadlines.spoke(352);
  assert.equal(deadlines.judge(352), "fine");
});

test("a heartbeat is due when we have said nothing for half an interval", () => {
  const deadlines = new Deadlines(0, HANDSHAKE_MS);
  deadlines.opened(100);
  assert.equal(deadlines.judge(49), "fine");
  assert.equal(deadlines.judge(50), "heartbeat-due");
  deadlines.spoke(50);
  assert.equal(deadlines.judge(99), "fine");
});

test("without heartbeats silence means nothing", () => {
  const deadlines = new Deadlines(0, HANDSHAKE_MS);
  deadlines.opened(0);
  assert.equal(deadlines.judge(1e9), "fine");
});

test("a peer that does not answer a close is cut off, however lively it is", () => {
  const deadlines = new Deadlines(0, HANDSHAKE_MS);
  deadlines.opened(1);
  deadlines.closing(10);
  deadlines.heard = true;
  assert.equal(deadlines.judge(5010), "fine");
  deadlines.heard = true;
  assert.equal(deadlines.judge(5011), "not-closed");
});
