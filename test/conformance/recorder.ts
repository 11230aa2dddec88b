// Helpers of the suite: a handler that remembers what it was called with and checks the rules of the callbacks, bytes
// that tell their own place, and waiting for a condition.

import assert from "node:assert/strict";
import type { Conn, ConnHandler } from "../../src/runtime/runtime.ts";

const PATTERN_PERIOD = 65_521;
const WAIT_MS_MAX = 20_000;
const patternBytes = Uint8Array.from({ length: 2 * PATTERN_PERIOD }, (_, i) => ((i % PATTERN_PERIOD) * 31 + 7) >> 3);

/** `count` bytes that belong at place `from` of the one endless pattern. */
export function pattern(from: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let done = 0; done < count;) {
    const start = (from + done) % PATTERN_PERIOD;
    const piece = Math.min(PATTERN_PERIOD, count - done);
    bytes.set(patternBytes.subarray(start, start + piece), done);
    done += piece;
  }
  return bytes;
}

/** Waits until `condition` holds, looking at it once every `everyMs`; fails after 20 s. */
export async function until(condition: () => boolean, everyMs = 0): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `waited in vain for ${condition}`);
    await new Promise<void>((resolve) => everyMs === 0 ? setImmediate(resolve) : setTimeout(resolve, everyMs));
  }
}

/** Waits until every one of them is closed, then checks that it is so once only. */
export async function closed(...recorders: Recorder[]): Promise<void> {
  await until(() => recorders.every((recorder) => recorder.closes > 0));
  await new Promise<void>((resolve) => setImmediate(resolve));
  for (const recorder of recorders) {
    assert.equal(recorder.closes, 1);
    assert.equal(recorder.afterClose, 0, "a callback came after onClose");
  }
}

export class Recorder implements ConnHandler {
  readonly conn: Conn;
  react: Partial<ConnHandler> = {};
  bytes = 0;
  chunks = 0;
  chunkMax = 0;
  drains = 0;
  closes = 0;
  afterClose = 0;
  error: Error | null = null;
  /** What arrived is the pattern from its beginning. */
  intact = true;

  constructor(conn: Conn) {
    this.conn = conn;
  }

  onData(chunk: Uint8Array): void {
    if (this.closes > 0) this.afterClose++;
    this.chunks++;
    this.chunkMax = Math.max(this.chunkMax, chunk.length);
    if (Buffer.compare(chunk, pattern(this.bytes, chunk.length)) !== 0) this.intact = false;
    this.bytes += chunk.length;
    this.react.onData?.(chunk);
  }

  onDrain(): void {
    if (this.closes > 0) this.afterClose++;
    this.drains++;
    this.react.onDrain?.();
  }

  onClose(error: Error | null): void {
    this.closes++;
    this.error = error;
    this.react.onClose?.(error);
  }
}
