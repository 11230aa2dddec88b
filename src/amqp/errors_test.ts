import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../core/refusal.ts";
import { FileFault } from "../runtime/fault.ts";
import { AmqpError, toAmqpError } from "./errors.ts";

test("what is refused ends the channel or the connection, as its code says", () => {
  const missing = toAmqpError(new Refusal("not-found", "no queue 'x' in vhost '/'"));
  assert.equal(missing.replyText, "NOT_FOUND - no queue 'x' in vhost '/'");
  assert.ok(missing.endsChannelOnly);
  assert.ok(!new AmqpError(540, "immediate=true").endsChannelOnly);
});

test("a full disk is told as one, other faults tell the peer nothing of the inside", () => {
  const full = toAmqpError(new FileFault("allocate", "/secret/path", "ENOSPC"));
  assert.deepEqual([full.code, full.replyText.includes("/secret")], [506, false]);
  assert.match(full.replyText, /^RESOURCE_ERROR - no space is left/);
  const other = toAmqpError(new FileFault("write", "/secret/path", "EIO"));
  assert.deepEqual([other.code, other.replyText.includes("/secret")], [541, false]);
});

test("a reply text that is too long for a short string is cut", () => {
  const text = new AmqpError(404, "x".repeat(300)).replyText;
  assert.equal(new TextEncoder().encode(text).length, 255);
});
