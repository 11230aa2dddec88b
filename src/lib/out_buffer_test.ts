import assert from "node:assert/strict";
import { test } from "node:test";
import { BufferPool, OutBuffer } from "./out_buffer.ts";

const MIB = 1024 * 1024;

test("a large message that comes in pieces takes up no more than it has to, behind what stands there", () => {
  const out = new OutBuffer(new BufferPool());
  out.append(Uint8Array.of(1, 2, 3));
  out.consume(1);
  out.ensure(9 * MIB);
  const { bytes } = out;
  assert.deepEqual([out.length, bytes.length], [2, 9 * MIB + 2]);
  for (let count = 0; count < 9; count++) out.append(new Uint8Array(MIB).fill(count));
  assert.equal(out.bytes, bytes, "it was not moved");
  assert.deepEqual([...out.bytes.subarray(out.start, 3)], [2, 3, 0]);
  assert.equal(out.bytes.at(-1), 8);
});

test("room that is there is used", () => {
  const out = new OutBuffer(new BufferPool());
  out.append(Uint8Array.of(1));
  const { bytes } = out;
  out.ensure(1000);
  assert.deepEqual([out.bytes, out.length], [bytes, 1]);
});
