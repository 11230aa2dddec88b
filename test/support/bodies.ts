// Known pseudo-random contents: a message's body follows from its index and size alone, in every language of the
// clients. The pool is written to a file once, so that the programs in Python, Go and Java need no generator.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory } from "./broker_process.ts";

const POOL_BYTES = 2 * 1024 * 1024;
const OFFSETS = 1024 * 1024;
const STRIDE = 7919; // prime, so that a million bodies in a row begin at different offsets

/** Cut from a pool of random bytes at an offset that follows from the index. Sizes up to 1 MiB. */
export class BodyPool {
  readonly bytes: Uint8Array;

  constructor() {
    const words = new Uint32Array(POOL_BYTES / 4);
    let state = 0x2545f491;
    for (let index = 0; index < words.length; index++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[index] = state;
    }
    this.bytes = new Uint8Array(words.buffer);
  }

  body(index: number, bytes: number): Buffer {
    const offset = (index * STRIDE) % OFFSETS;
    return Buffer.from(this.bytes.buffer, offset, bytes);
  }

  matches(index: number, expectedBytes: number, body: Uint8Array): boolean {
    return this.body(index, expectedBytes).equals(body);
  }

  /** Writes the pool where a program can read it. */
  toFile(): string {
    const path = join(temporaryDirectory(), "bodies");
    writeFileSync(path, this.bytes);
    return path;
  }
}

/** How many messages, and how large the one with a given index is. */
export interface Plan {
  count: number;
  sizes: readonly number[];
  /** Every n-th message has `largeBytes` instead. */
  largeEvery: number;
  largeBytes: number;
}

export function sizeOf(plan: Plan, index: number): number {
  if (index % plan.largeEvery === plan.largeEvery - 1) return plan.largeBytes;
  return plan.sizes[index % plan.sizes.length] ?? 0;
}
