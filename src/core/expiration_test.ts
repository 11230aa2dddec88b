import assert from "node:assert/strict";
import { test } from "node:test";
import { steadyMs } from "../lib/clock.ts";
import { Message } from "../store/message.ts";
import { isExpired, readExpirationMs } from "./expiration.ts";

/** A content header with content type and expiration, some bytes into a buffer. */
function header(expiration: string): [Uint8Array, number] {
  const text = new TextEncoder().encode(expiration);
  return [new Uint8Array([9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0x81, 0, 1, 0x74, text.length, ...text]), 2];
}

test("an expiration is a whole number of milliseconds that fits 32 bits", () => {
  for (const [text, expected] of [["0", 0], ["60000", 60_000], ["4294967295", 4_294_967_295], ["007", 7]] as const) {
    assert.equal(readExpirationMs(...header(text)), expected, text);
  }
  for (const text of ["", "4294967296", "99999999999999999999999999", "-1", "1.5", "1e3", " 1", "1s", "\u0661"]) {
    assert.equal(readExpirationMs(...header(text)), null, text);
  }
});

test("a message of a clock that was an hour ahead does not live an hour longer", () => {
  const message = new Message();
  [message.header, message.headerAt] = header("0");
  const nowMs = steadyMs() + 1;
  message.timestampMs = nowMs + 3_600_000;
  assert.equal(isExpired(message, nowMs), true);
  message.timestampMs = nowMs;
  assert.equal(isExpired(message, nowMs), false);
});
