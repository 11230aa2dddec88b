// Prints the nanoseconds per frame of reading a stream of publishes of 16 B: method, header, body.
// Run: bun src/wire/amqp_frame_bench.ts

import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { FrameReader, writeBody } from "./amqp_frame.ts";
import { writeBasicPublish } from "./amqp_methods.ts";
import { checkProperties, HEADER_PREFIX_BYTES, readDeliveryMode, writeHeader } from "./amqp_properties.ts";

const CHUNK_BYTES = 64 * 1024;
const MESSAGES = 20_000;
const ROUNDS = 50;
const FRAME_BYTES_MAX = 131_072;

const out = new OutBuffer(new BufferPool());
const body = new Uint8Array(16);
for (let i = 0; i < MESSAGES; i++) {
  writeBasicPublish(out, 1, { exchange: "", routingKey: "perf-test", mandatory: false, immediate: false });
  writeHeader(out, 1, body.length, { deliveryMode: 2 });
  writeBody(out, 1, body, 0, body.length, FRAME_BYTES_MAX);
}
const stream = out.bytes.slice(out.start, out.end);
const chunks: Uint8Array[] = [];
for (let at = 0; at < stream.length; at += CHUNK_BYTES) chunks.push(stream.slice(at, at + CHUNK_BYTES));

let frames = 0;
let persistent = 0;

/** Reads the stream ROUNDS times and prints what a frame took. */
function measure(name: string, frame: (type: number, bytes: Uint8Array, at: number, size: number) => void): void {
  const reader = new FrameReader({
    frame(type, _channel, bytes, at, size) {
      frames++;
      frame(type, bytes, at, size);
      return true;
    },
  });
  reader.frameBytesMax = FRAME_BYTES_MAX;
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    frames = 0;
    const begin = performance.now();
    for (const chunk of chunks) reader.push(chunk);
    best = Math.min(best, (performance.now() - begin) * 1e6 / frames);
  }
  console.log(`${name}: ${best.toFixed(1)} ns/frame (${frames} frames, best of ${ROUNDS})`);
}

measure("frames", () => {});
measure("frames, headers checked", (type, bytes, at, size) => {
  if (type !== 2) return;
  checkProperties(bytes, at + HEADER_PREFIX_BYTES, size - HEADER_PREFIX_BYTES);
  if (readDeliveryMode(bytes, at + HEADER_PREFIX_BYTES) === 2) persistent++;
});
console.log(`${persistent / ROUNDS} persistent messages seen in each round`);
