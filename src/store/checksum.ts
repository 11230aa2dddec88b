// XXH32 (little-endian), the checksum of every file. Two readings of the same function: over bytes at any place, and
// over whole 32-bit words, which is what records are made of. Fast on small inputs: records are mostly short.

const PRIME_1 = 0x9e3779b1 | 0;
const PRIME_2 = 0x85ebca77 | 0;
const PRIME_3 = 0xc2b2ae3d | 0;
const PRIME_4 = 0x27d4eb2f;
const PRIME_5 = 0x165667b1;

/** XXH32 of bytes[from..from+count), as a signed 32-bit integer: compare it with what an Int32Array holds. */
export function xxh32(bytes: Uint8Array, from: number, count: number, seed: number): number {
  const end = from + count;
  let at = from;
  let hash: number;
  if (count >= 16) {
    let a = (seed + PRIME_1 + PRIME_2) | 0;
    let b = (seed + PRIME_2) | 0;
    let c = seed | 0;
    let d = (seed - PRIME_1) | 0;
    for (const last = end - 16; at <= last; at += 16) {
      a = round(a, wordAt(bytes, at));
      b = round(b, wordAt(bytes, at + 4));
      c = round(c, wordAt(bytes, at + 8));
      d = round(d, wordAt(bytes, at + 12));
    }
    hash = join(a, b, c, d);
  } else {
    hash = (seed + PRIME_5) | 0;
  }
  hash = (hash + count) | 0;
  for (; at + 4 <= end; at += 4) hash = tailWord(hash, wordAt(bytes, at));
  for (; at < end; at++) {
    hash = (hash + Math.imul(bytes[at]!, PRIME_5)) | 0;
    hash = Math.imul((hash << 11) | (hash >>> 21), PRIME_1);
  }
  return finish(hash);
}

/** The same over words[from..from+count) as they lie in memory (little-endian machines only: all that we run on). Hot. */
export function xxh32Words(words: Int32Array, from: number, count: number, seed: number): number {
  const end = from + count;
  let at = from;
  let hash: number;
  if (count >= 4) {
    let a = (seed + PRIME_1 + PRIME_2) | 0;
    let b = (seed + PRIME_2) | 0;
    let c = seed | 0;
    let d = (seed - PRIME_1) | 0;
    for (const last = end - 4; at <= last; at += 4) {
      a = round(a, words[at]!);
      b = round(b, words[at + 1]!);
      c = round(c, words[at + 2]!);
      d = round(d, words[at + 3]!);
    }
    hash = join(a, b, c, d);
  } else {
    hash = (seed + PRIME_5) | 0;
  }
  hash = (hash + count * 4) | 0;
  for (; at < end; at++) hash = tailWord(hash, words[at]!);
  return finish(hash);
}

function round(lane: number, word: number): number {
  const sum = (lane + Math.imul(word, PRIME_2)) | 0;
  return Math.imul((sum << 13) | (sum >>> 19), PRIME_1);
}

function join(a: number, b: number, c: number, d: number): number {
  return (((a << 1) | (a >>> 31)) + ((b << 7) | (b >>> 25)) + ((c << 12) | (c >>> 20)) + ((d << 18) | (d >>> 14))) | 0;
}

function tailWord(hash: number, word: number): number {
  const sum = (hash + Math.imul(word, PRIME_3)) | 0;
  return Math.imul((sum << 17) | (sum >>> 15), PRIME_4);
}

function finish(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_2);
  hash = Math.imul(hash ^ (hash >>> 13), PRIME_3);
  return hash ^ (hash >>> 16);
}

function wordAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
