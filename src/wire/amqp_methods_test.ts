import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { FRAME_HEADER_BYTES } from "./amqp_frame.ts";
import {
  decodeMethod,
  type Method,
  METHOD_BASIC_ACK,
  METHOD_BASIC_DELIVER,
  METHOD_BASIC_NACK,
  METHOD_BASIC_PUBLISH,
  METHOD_CONNECTION_CLOSE,
  METHOD_CONNECTION_CLOSE_OK,
  METHOD_CONNECTION_OPEN,
  METHOD_CONNECTION_START,
  METHOD_CONNECTION_START_OK,
  METHOD_CONNECTION_TUNE,
  METHOD_EXCHANGE_DECLARE,
  METHOD_EXCHANGE_UNBIND_OK,
  METHOD_NAMES,
  METHOD_QUEUE_DECLARE,
  METHOD_QUEUE_DECLARE_OK,
  writeBasicPublish,
  writeMethod,
} from "./amqp_methods.ts";
import { tableOf } from "./amqp_table.ts";
import { hexOf, octets, passesOrViolates, violation, written } from "./amqp_testing.ts";

/** Channel, method, the whole frame by hand from the specification. */
const VECTORS: readonly [number, Method, string][] = [
  [
    0,
    {
      kind: METHOD_CONNECTION_START,
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: tableOf({ product: "Leveret" }),
      mechanisms: "PLAIN",
      locales: "en_US",
    },
    `01 0000 00000030 000A 000A 00 09
     00000014 07 'product' 'S' 00000007 'Leveret'
     00000005 'PLAIN' 00000005 'en_US' CE`,
  ],
  [
    0,
    {
      kind: METHOD_CONNECTION_START_OK,
      clientProperties: new Map(),
      mechanism: "PLAIN",
      response: octets("00 'guest' 00 'guest'"),
      locale: "en_US",
    },
    `01 0000 00000024 000A 000B 00000000 05 'PLAIN' 0000000C 00 'guest' 00 'guest' 05 'en_US' CE`,
  ],
  [
    0,
    { kind: METHOD_CONNECTION_TUNE, channelMax: 2047, frameMax: 131072, heartbeat: 60 },
    `01 0000 0000000C 000A 001E 07FF 00020000 003C CE`,
  ],
  [0, { kind: METHOD_CONNECTION_OPEN, virtualHost: "/" }, `01 0000 00000008 000A 0028 01 '/' 00 00 CE`],
  [
    0,
    { kind: METHOD_CONNECTION_CLOSE, replyCode: 320, replyText: "bye", classId: 60, methodId: 40 },
    `01 0000 0000000E 000A 0032 0140 03 'bye' 003C 0028 CE`,
  ],
  [0, { kind: METHOD_CONNECTION_CLOSE_OK }, `01 0000 00000004 000A 0033 CE`],
  [
    1,
    {
      kind: METHOD_EXCHANGE_DECLARE,
      exchange: "logs",
      type: "topic",
      passive: false,
      durable: true,
      autoDelete: false,
      internal: true,
      noWait: false,
      arguments: new Map(),
    },
    `01 0001 00000016 0028 000A 0000 04 'logs' 05 'topic' 0A 00000000 CE`,
  ],
  [1, { kind: METHOD_EXCHANGE_UNBIND_OK }, `01 0001 00000004 0028 0033 CE`],
  [
    2,
    {
      kind: METHOD_QUEUE_DECLARE,
      queue: "jobs",
      passive: false,
      durable: true,
      exclusive: false,
      autoDelete: true,
      noWait: true,
      arguments: tableOf({ "x-max-length": 10 }),
    },
    `01 0002 00000026 0032 000A 0000 04 'jobs' 1A 00000016 0C 'x-max-length' 'l' 000000000000000A CE`,
  ],
  [
    2,
    { kind: METHOD_QUEUE_DECLARE_OK, queue: "jobs", messageCount: 0xFFFFFFFF, consumerCount: 3 },
    `01 0002 00000011 0032 000B 04 'jobs' FFFFFFFF 00000003 CE`,
  ],
  [
    0x0102,
    { kind: METHOD_BASIC_PUBLISH, exchange: "ex", routingKey: "key", mandatory: true, immediate: false },
    `01 0102 0000000E 003C 0028 0000 02 'ex' 03 'key' 01 CE`,
  ],
  [
    1,
    {
      kind: METHOD_BASIC_DELIVER,
      consumerTag: "tag",
      deliveryTag: 0x100000002,
      redelivered: true,
      exchange: "",
      routingKey: "key",
    },
    `01 0001 00000016 003C 003C 03 'tag' 0000000100000002 01 00 03 'key' CE`,
  ],
  [
    65535,
    { kind: METHOD_BASIC_ACK, deliveryTag: 5, multiple: true },
    `01 FFFF 0000000D 003C 0050 0000000000000005 01 CE`,
  ],
  [
    1,
    { kind: METHOD_BASIC_NACK, deliveryTag: 5, multiple: false, requeue: true },
    `01 0001 0000000D 003C 0078 0000000000000005 02 CE`,
  ],
];

function decode(payload: Uint8Array): Method {
  return decodeMethod(payload, 0, payload.length);
}

function payloadOf(frame: Uint8Array): Uint8Array {
  return frame.slice(FRAME_HEADER_BYTES, frame.length - 1);
}

/** A payload of `kind` with `rest` behind it. */
function payload(kind: number, rest: Uint8Array): Uint8Array {
  return Uint8Array.of(kind >>> 24, kind >>> 16, kind >>> 8, kind, ...rest);
}

test("frames written and read are those of the specification", () => {
  for (const [channel, method, text] of VECTORS) {
    const frame = octets(text);
    assert.equal(
      hexOf(written((out) => writeMethod(out, channel, method))),
      hexOf(frame),
      METHOD_NAMES.get(method.kind)!,
    );
    assert.deepEqual(decodeMethod(frame, FRAME_HEADER_BYTES, frame.length - 8), method);
  }
});

test("a method cut at any byte or with an octet too many is a frame error", () => {
  for (const [, , text] of VECTORS) {
    const whole = octets(text);
    const size = whole.length - 8;
    for (let cut = 0; cut < size; cut++) {
      assert.equal(violation(() => decodeMethod(whole, FRAME_HEADER_BYTES, cut)).code, 501);
    }
    assert.equal(violation(() => decodeMethod(whole, FRAME_HEADER_BYTES, size + 1)).code, 501);
  }
});

test("unknown classes and methods are not implemented", () => {
  for (const kind of [0, 0x003C0029, 0x00FF0001, 0xFFFFFFFF]) {
    const error = violation(() => decode(payload(kind, octets(""))));
    assert.equal(error.code, 540);
    assert.match(error.text, new RegExp(`${kind >>> 16}\\.${kind & 0xFFFF}$`));
  }
});

test("names that are not UTF-8 are a frame error", () => {
  const error = violation(() => decode(payload(METHOD_BASIC_PUBLISH, octets("0000 02 C328 00 00"))));
  assert.equal(error.code, 501);
});

test("bits without meaning are passed over", () => {
  const method = decode(payload(METHOD_BASIC_ACK, octets("0000000000000005 FE")));
  assert.deepEqual(method, { kind: METHOD_BASIC_ACK, deliveryTag: 5, multiple: false });
});

test("a routing key of 255 octets is written, one of 256 leaves nothing behind", () => {
  const fields = { exchange: "", mandatory: false, immediate: false };
  const frame = written((out) => writeBasicPublish(out, 1, { ...fields, routingKey: "k".repeat(255) }));
  assert.deepEqual(decode(payloadOf(frame)), { kind: METHOD_BASIC_PUBLISH, ...fields, routingKey: "k".repeat(255) });
  const bytes = written((out) => {
    out.append(octets("11"));
    assert.throws(() => writeBasicPublish(out, 1, { ...fields, routingKey: "k".repeat(256) }), {
      name: "AssertionFault",
    });
    out.append(octets("22"));
  });
  assert.equal(hexOf(bytes), "11 22");
});

const kinds = fc.constantFrom(...METHOD_NAMES.keys());

test("zeros decode for every method that has room for them, and its frame decodes to the same", () => {
  for (const kind of METHOD_NAMES.keys()) {
    // Zeros are an empty string, an empty table, a zero: exactly one length of them is right for each method.
    const decoded: Method[] = [];
    for (let count = 0; count < 40; count++) {
      passesOrViolates(() => decoded.push(decode(payload(kind, new Uint8Array(count)))));
    }
    assert.equal(decoded.length, 1, METHOD_NAMES.get(kind)!);
    const method = decoded[0]!;
    assert.equal(method.kind, kind);
    assert.deepEqual(decode(payloadOf(written((out) => writeMethod(out, 1, method)))), method);
  }
});

test("random arguments are a violation or decode, and what decodes survives writing", () => {
  // Small octets make short lengths likely, so that many get through.
  const octet = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 255 }));
  let passed = 0;
  fc.assert(
    fc.property(kinds, fc.array(octet, { maxLength: 30 }), (kind, rest) => {
      passesOrViolates(() => {
        const method = decode(payload(kind, Uint8Array.from(rest)));
        // A delivery tag beyond 2^53 is inexact: no such tag was ever given.
        if ("deliveryTag" in method && !Number.isSafeInteger(method.deliveryTag)) return;
        assert.deepEqual(decode(payloadOf(written((out) => writeMethod(out, 1, method)))), method);
        passed++;
      });
    }),
    { numRuns: 1500 },
  );
  assert.ok(passed > 0);
});
