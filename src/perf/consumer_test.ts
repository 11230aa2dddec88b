import assert from "node:assert/strict";
import { test } from "node:test";
import { AmqpChannel } from "../client/amqp_channel.ts";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { FRAME_BODY, FRAME_HEADER, FrameReader, writeBody } from "../wire/amqp_frame.ts";
import { decodeMethod, METHOD_BASIC_ACK, writeBasicDeliver, writeBasicReturn } from "../wire/amqp_methods.ts";
import { writeHeader } from "../wire/amqp_properties.ts";
import { readLong } from "../wire/amqp_values.ts";
import { Consumer } from "./consumer.ts";
import { clockUs } from "./stamp.ts";

const RUN_MARK = 77;
const FIRST_TAG = 0x1_0000_0000 - 2;

function bodyOf(size: number, mark: number, clock: number): Uint8Array {
  const body = new Uint8Array(size);
  if (size >= 8) {
    new DataView(body.buffer).setUint32(0, mark);
    new DataView(body.buffer).setUint32(4, clock);
  }
  return body;
}

/** Deliveries of these bodies, tags from FIRST_TAG on, with a returned message in between. */
function deliveries(bodies: Uint8Array[], frameBytesMax: number): Uint8Array {
  const out = new OutBuffer(new BufferPool());
  bodies.forEach((body, index) => {
    const route = { exchange: "ex", routingKey: "key" };
    const deliveryTag = FIRST_TAG + index;
    writeBasicDeliver(out, 1, { consumerTag: "ctag", deliveryTag, redelivered: false, ...route });
    writeHeader(out, 1, body.length, { deliveryMode: 2, messageId: "m" });
    writeBody(out, 1, body, 0, body.length, frameBytesMax);
    if (index > 0) return;
    writeBasicReturn(out, 1, { replyCode: 312, replyText: "NO_ROUTE", ...route });
    writeHeader(out, 1, 9, {});
    writeBody(out, 1, new Uint8Array(9), 0, 9, frameBytesMax);
  });
  return out.bytes.slice(out.start, out.end);
}

interface Fixture {
  consumer: Consumer;
  out: OutBuffer;
  push(chunk: Uint8Array): void;
}

function fixture(ackEvery: number): Fixture {
  const out = new OutBuffer(new BufferPool());
  const channel = new AmqpChannel({ out, flush() {}, release() {} }, 1);
  const consumer = new Consumer({ out, flush() {} }, channel, ackEvery, RUN_MARK, (fault) => assert.fail(fault));
  const reader = new FrameReader({
    frame(type, _number, bytes, at, size) {
      if (type === FRAME_BODY) channel.body(bytes, at, size);
      else if (type === FRAME_HEADER) channel.header(bytes, at, size);
      else channel.method(readLong(bytes, at), bytes, at, size);
      return true;
    },
  });
  const push = (chunk: Uint8Array) => {
    reader.push(chunk);
    consumer.turn();
  };
  return { consumer, out, push };
}

function acksIn(out: OutBuffer): [number, boolean][] {
  const acks: [number, boolean][] = [];
  const reader = new FrameReader({
    frame(_type, _number, bytes, at, size) {
      const method = decodeMethod(bytes, at, size);
      assert.ok(method.kind === METHOD_BASIC_ACK);
      acks.push([method.deliveryTag, method.multiple]);
      return true;
    },
  });
  reader.push(out.bytes.subarray(out.start, out.end));
  return acks;
}

test("messages of any size are counted and acknowledged, wherever the stream is cut", () => {
  const bodies = [0, 5, 8, 16, 100].map((size) => bodyOf(size, RUN_MARK, clockUs()));
  const stream = deliveries(bodies, 4096);
  for (let cut = 0; cut <= stream.length; cut++) {
    const { consumer, out, push } = fixture(1);
    push(stream.subarray(0, cut));
    push(stream.subarray(cut));
    assert.equal(consumer.consumed, 5, `cut at ${cut}`);
    assert.equal(consumer.latency.count, 3, `cut at ${cut}`);
    assert.deepEqual(acksIn(out), bodies.map((_, index) => [FIRST_TAG + index, false]));
  }
});

test("byte by byte, bodies in several frames are one message each", () => {
  const stream = deliveries([bodyOf(100, RUN_MARK, clockUs()), bodyOf(41, RUN_MARK, clockUs())], 28);
  const { consumer, push } = fixture(0);
  for (let at = 0; at < stream.length; at++) push(stream.subarray(at, at + 1));
  assert.deepEqual([consumer.consumed, consumer.latency.count], [2, 2]);
});

test("several are acknowledged at once, the rest at the end", () => {
  const { consumer, out, push } = fixture(2);
  push(deliveries([0, 0, 0, 0, 0].map((size) => bodyOf(size, 0, 0)), 4096));
  assert.deepEqual(acksIn(out), [[FIRST_TAG + 1, true], [FIRST_TAG + 3, true]]);
  consumer.ackRest();
  consumer.ackRest();
  assert.deepEqual(acksIn(out).slice(2), [[FIRST_TAG + 4, true]]);
});

test("more acknowledgements than are sent at once are all written, in order", () => {
  const { out, push } = fixture(1);
  const count = 3_000;
  push(deliveries(Array.from({ length: count }, () => bodyOf(0, 0, 0)), 4096));
  assert.deepEqual(acksIn(out).map(([tag]) => tag), Array.from({ length: count }, (_, index) => FIRST_TAG + index));
});

test("without acknowledgements nothing is written", () => {
  const { consumer, out, push } = fixture(0);
  push(deliveries([bodyOf(16, RUN_MARK, clockUs())], 4096));
  consumer.ackRest();
  assert.deepEqual([consumer.consumed, out.length], [1, 0]);
});

test("latency is told of this run's messages only", () => {
  const { consumer, push } = fixture(0);
  const fiveMsAgo = (clockUs() - 5_000) >>> 0;
  push(deliveries([bodyOf(16, RUN_MARK, fiveMsAgo), bodyOf(16, RUN_MARK + 1, 0), bodyOf(7, 0, 0)], 4096));
  assert.deepEqual([consumer.consumed, consumer.latency.count], [3, 1]);
  assert.ok(consumer.latency.min >= 5_000 && consumer.latency.min < 5_000_000, `${consumer.latency.min} µs`);
});
