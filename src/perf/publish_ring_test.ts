import assert from "node:assert/strict";
import { test } from "node:test";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { FRAME_BODY, FRAME_HEADER, FRAME_METHOD, FrameReader } from "../wire/amqp_frame.ts";
import { decodeMethod, METHOD_BASIC_PUBLISH } from "../wire/amqp_methods.ts";
import { decodeHeader } from "../wire/amqp_properties.ts";
import { readLong } from "../wire/amqp_values.ts";
import { type MessageShape, PublishRing } from "./publish_ring.ts";

const RUN_MARK = 0xCAFEF00D;

interface Published {
  route: string;
  deliveryMode: number | undefined;
  body: number[];
  frames: number;
}

function shapeOf(bodyBytes: number, keys: string[], frameBytesMax = 4096): MessageShape {
  const routes = keys.map((routingKey) => ({ exchange: "e", routingKey }));
  return { channel: 3, routes, bodyBytes, properties: { deliveryMode: 2 }, frameBytesMax, runMark: RUN_MARK };
}

/** What a broker reads from the bytes. */
function read(out: OutBuffer, frameBytesMax = 4096): Published[] {
  const published: Published[] = [];
  let bodySize = 0;
  const reader = new FrameReader({
    frame(type, channel, bytes, at, size) {
      assert.equal(channel, 3);
      const last = published.at(-1);
      if (type === FRAME_METHOD) {
        const method = decodeMethod(bytes, at, size);
        assert.ok(method.kind === METHOD_BASIC_PUBLISH);
        assert.equal(last?.body.length ?? 0, bodySize, "the last body is whole");
        published.push({
          route: `${method.exchange}/${method.routingKey}`,
          deliveryMode: undefined,
          body: [],
          frames: 0,
        });
      } else if (type === FRAME_HEADER) {
        const header = decodeHeader(bytes, at + 4, size - 4);
        bodySize = header.bodySize;
        last!.deliveryMode = header.deliveryMode;
      } else if (type === FRAME_BODY) {
        last!.body.push(...bytes.subarray(at, at + size));
        last!.frames++;
      }
      return true;
    },
  });
  reader.frameBytesMax = frameBytesMax;
  reader.push(out.bytes.subarray(out.start, out.end));
  return published;
}

test("a message has its route, its properties, and a body that begins with mark and clock", () => {
  const out = new OutBuffer(new BufferPool());
  assert.equal(new PublishRing(shapeOf(16, ["k"])).write(out, 2, 65_536, 0x01020304), 2);
  const published = read(out);
  assert.equal(published.length, 2);
  for (const { route, deliveryMode, body } of published) {
    assert.deepEqual([route, deliveryMode, body.length], ["e/k", 2, 16]);
    const bytes = Uint8Array.from(body);
    assert.deepEqual([readLong(bytes, 0), readLong(bytes, 4), body.slice(8)], [RUN_MARK, 0x01020304, [
      8,
      9,
      10,
      11,
      12,
      13,
      14,
      15,
    ]]);
  }
});

test("bodies of 0 and 7 bytes carry no stamp, one of 8 nothing else", () => {
  for (
    const [size, body] of [[0, []], [7, [0, 1, 2, 3, 4, 5, 6]], [8, [0xCA, 0xFE, 0xF0, 0x0D, 0, 0, 0, 9]]] as const
  ) {
    const out = new OutBuffer(new BufferPool());
    new PublishRing(shapeOf(size, ["k"])).write(out, 1, 65_536, 9);
    assert.deepEqual(read(out).map((each) => each.body), [[...body]]);
  }
});

test("a body larger than a frame is cut into frames", () => {
  const out = new OutBuffer(new BufferPool());
  new PublishRing(shapeOf(10_000, ["k"])).write(out, 1, 65_536, 0);
  const [message] = read(out);
  assert.deepEqual([message!.body.length, message!.frames], [10_000, 3]);
});

test("the routes take turns over every wrap of the ring", () => {
  const out = new OutBuffer(new BufferPool());
  const ring = new PublishRing(shapeOf(100, ["a", "bb", "ccc"]));
  let written = 0;
  for (const count of [1, 2, ring.count, 5, ring.count * 2 + 1]) written += ring.write(out, count, Infinity, 0);
  const routes = read(out).map((each) => each.route);
  assert.equal(routes.length, written);
  routes.forEach((route, index) => assert.equal(route, ["e/a", "e/bb", "e/ccc"][index % 3]));
});

test("a write stays within its bytes, but for one message", () => {
  const ring = new PublishRing(shapeOf(16, ["k"]));
  const out = new OutBuffer(new BufferPool());
  for (let round = 0; round < 5; round++) {
    const count = ring.write(out, Infinity, 65_536, 0);
    assert.ok(out.length <= 65_536 && out.length + out.length / count > 65_536, `${out.length} bytes`);
    out.clear();
  }
  assert.equal(new PublishRing(shapeOf(100_000, ["k"])).write(out, 10, 65_536, 0), 1);
});
