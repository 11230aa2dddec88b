import assert from "node:assert/strict";
import { test } from "node:test";
import { xxh32, xxh32Words } from "./checksum.ts";

// The sanity buffer of the reference implementation's self test: byte i is the top byte of 2654435761^(2^i)...
const PRIME32 = 2654435761n;
const PRIME64 = 11400714785074694797n;

function sanityBuffer(count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  let generator = PRIME32;
  for (let i = 0; i < count; i++) {
    bytes[i] = Number(generator >> 56n);
    generator = (generator * PRIME64) & 0xffffffffffffffffn;
  }
  return bytes;
}

const encoder = new TextEncoder();

test("xxh32 of known texts", () => {
  for (
    const [text, seed, hash] of [
      ["", 0, 0x02cc5d05],
      ["", 1, 0x0b2cb792],
      ["a", 0, 0x550d7456],
      ["abc", 0, 0x32d153ff],
      ["abcd", 0, 0xa3643705],
      ["Nobody inspects the spammish repetition", 0, 0xe2293b2f],
    ] as const
  ) {
    const bytes = encoder.encode(text);
    assert.equal(xxh32(bytes, 0, bytes.length, seed) >>> 0, hash, JSON.stringify(text));
  }
});

test("xxh32 passes the vectors of the reference's self test", () => {
  const bytes = sanityBuffer(222);
  for (
    const [count, seed, hash] of [
      [0, 0, 0x02cc5d05],
      [0, 0x9e3779b1, 0x36b78ae7],
      [1, 0, 0xcf65b03e],
      [1, 0x9e3779b1, 0xb4545aa4],
      [14, 0, 0x1208e7e2],
      [14, 0x9e3779b1, 0x6af1d1fe],
      [222, 0, 0x5bd11dbd],
      [222, 0x9e3779b1, 0x58803c5f],
    ] as const
  ) assert.equal((xxh32(bytes, 0, count, seed) >>> 0).toString(16), hash.toString(16), `${count} bytes, seed ${seed}`);
});

test("xxh32Words agrees with xxh32 at every length and place", () => {
  const bytes = sanityBuffer(400);
  const words = new Int32Array(bytes.buffer);
  for (let from = 0; from < 6; from++) {
    for (let count = 0; count < 80; count++) {
      const seed = (count * 0x12345671 + from) | 0;
      assert.equal(xxh32Words(words, from, count, seed), xxh32(bytes, from * 4, count * 4, seed));
    }
  }
});

test("xxh32 does not depend on where the bytes lie", () => {
  const bytes = sanityBuffer(100);
  const moved = new Uint8Array(200);
  for (let shift = 0; shift < 9; shift++) {
    moved.set(bytes, shift);
    assert.equal(xxh32(moved, shift, 100, 7), xxh32(bytes, 0, 100, 7));
  }
});
