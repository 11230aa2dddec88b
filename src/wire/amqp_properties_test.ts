import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Field } from "./amqp_table.ts";
import {
  changeHeader,
  checkProperties,
  CLASS_BASIC,
  type ContentHeader,
  decodeHeader,
  findProperty,
  HEADER_BYTES_MIN,
  HEADER_PREFIX_BYTES,
  isPersistent,
  type Properties,
  propertiesFlags,
  PROPERTY_CLUSTER_ID,
  PROPERTY_CONTENT_TYPE,
  PROPERTY_DELIVERY_MODE,
  PROPERTY_HEADERS,
  readBodySize,
  readDeliveryMode,
  writeHeader,
} from "./amqp_properties.ts";
import { FRAME_HEADER_BYTES } from "./amqp_frame.ts";
import {
  fieldTable,
  hexOf,
  octets,
  passesOrViolates,
  shortText,
  timestamp,
  violation,
  written,
} from "./amqp_testing.ts";
import { ValueReader } from "./amqp_values.ts";

/** All 14 properties, by hand from AMQP 4.2.6.1 and 1.8.1. */
const FULL_FRAME = octets(`
  02 0007 00000065
  003C 0000 0000000000000010 FFFC
  0A 'text/plain'
  04 'gzip'
  0000000E 01 'n' 'I' 00000005 01 'b' 't' 01 01 'v' 'V'
  02
  09
  04 'corr'
  05 'reply'
  05 '60000'
  02 'id'
  000000006553F100
  04 'kind'
  05 'guest'
  03 'app'
  07 'cluster'
  CE`);

const FULL: Properties = {
  contentType: "text/plain",
  contentEncoding: "gzip",
  headers: new Map<string, Field>([
    ["n", { type: "I", value: 5 }],
    ["b", { type: "t", value: true }],
    ["v", { type: "V", value: null }],
  ]),
  deliveryMode: 2,
  priority: 9,
  correlationId: "corr",
  replyTo: "reply",
  expiration: "60000",
  messageId: "id",
  timestamp: 1_700_000_000,
  type: "kind",
  userId: "guest",
  appId: "app",
  clusterId: "cluster",
};

/** The run that the functions take: behind class and weight, before the end octet. */
function runOf(frame: Uint8Array): Uint8Array {
  return frame.slice(FRAME_HEADER_BYTES + HEADER_PREFIX_BYTES, frame.length - 1);
}

function encode(properties: Properties, bodySize = 0): Uint8Array {
  return runOf(written((out) => writeHeader(out, 1, bodySize, properties)));
}

function decode(run: Uint8Array): ContentHeader {
  return decodeHeader(run, 0, run.length);
}

const option = { nil: undefined };
const octet = fc.option(fc.integer({ min: 0, max: 255 }), option);
const text = fc.option(shortText, option);
const properties: fc.Arbitrary<Properties> = fc.record({
  contentType: text,
  contentEncoding: text,
  headers: fc.option(fieldTable, option),
  deliveryMode: octet,
  priority: octet,
  correlationId: text,
  replyTo: text,
  expiration: text,
  messageId: text,
  timestamp: fc.option(timestamp, option),
  type: text,
  userId: text,
  appId: text,
  clusterId: text,
}).map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)));

test("a header frame with all properties is what the specification says", () => {
  assert.equal(hexOf(written((out) => writeHeader(out, 7, 16, FULL))), hexOf(FULL_FRAME));
  assert.deepEqual(decode(runOf(FULL_FRAME)), { bodySize: 16, ...FULL });
});

test("a header frame without properties is what the specification says", () => {
  const bytes = written((out) => writeHeader(out, 1, 2 ** 32 + 5, {}));
  assert.equal(hexOf(bytes), hexOf(octets(`02 0001 0000000E 003C 0000 0000000100000005 0000 CE`)));
  assert.equal(bytes[8], CLASS_BASIC);
});

test("any properties survive encoding and decoding, and look the same to those that do not decode", () => {
  fc.assert(
    fc.property(properties, fc.maxSafeNat(), (some, bodySize) => {
      const run = encode(some, bodySize);
      assert.deepEqual(decode(run), { bodySize, ...some });
      assert.equal(checkProperties(run, 0, run.length), true);
      assert.equal(readBodySize(run, 0), bodySize);
      assert.equal(readDeliveryMode(run, 0), some.deliveryMode ?? 0);
      assert.equal(isPersistent(run, 0), some.deliveryMode === 2);
      const at = findProperty(run, 0, PROPERTY_CLUSTER_ID);
      assert.equal(at === -1 ? undefined : new ValueReader(run, at, run.length - at).shortString(), some.clusterId);
    }),
    { numRuns: 300 },
  );
});

test("properties are found where they begin", () => {
  const run = runOf(FULL_FRAME);
  assert.equal(findProperty(run, 0, PROPERTY_CONTENT_TYPE), HEADER_BYTES_MIN);
  assert.equal(findProperty(run, 0, PROPERTY_HEADERS), HEADER_BYTES_MIN + 11 + 5);
  assert.equal(run[findProperty(run, 0, PROPERTY_DELIVERY_MODE)], 2);
  assert.equal(findProperty(encode({ priority: 1 }), 0, PROPERTY_DELIVERY_MODE), -1);
  assert.equal(propertiesFlags(run, 0), 0xFFFC);
});

test("a header is read where it lies, not only at the start of a buffer", () => {
  const at = FRAME_HEADER_BYTES + HEADER_PREFIX_BYTES;
  const size = FULL_FRAME.length - at - 1;
  assert.equal(readDeliveryMode(FULL_FRAME, at), 2);
  assert.equal(checkProperties(FULL_FRAME, at, size), true);
  assert.deepEqual(decodeHeader(FULL_FRAME, at, size), { bodySize: 16, ...FULL });
});

test("a header cut at any byte is refused, and so is one octet too many, though more bytes lie behind", () => {
  const run = runOf(FULL_FRAME);
  const roomy = new Uint8Array(run.length + 300);
  roomy.set(run);
  for (let size = 0; size < run.length; size++) {
    assert.equal(violation(() => checkProperties(roomy, 0, size)).code, 501);
    assert.equal(violation(() => checkProperties(run.slice(0, size), 0, size)).code, 501);
    assert.equal(violation(() => decodeHeader(roomy, 0, size)).code, 501);
  }
  assert.equal(violation(() => checkProperties(roomy, 0, run.length + 1)).code, 501);
});

test("property flags without meaning, the continuation among them, are refused", () => {
  for (const flags of ["0001", "0002", "8003"]) {
    const run = octets(`0000000000000000 ${flags} 00`);
    assert.equal(violation(() => checkProperties(run, 0, run.length)).code, 501);
    assert.equal(violation(() => decode(run)).code, 501);
  }
});

test("a headers table that claims 4 GiB is refused", () => {
  const run = octets("0000000000000000 2000 FFFFFFFF 00");
  assert.equal(violation(() => checkProperties(run, 0, run.length)).code, 501);
});

test("bodies above 2^53 octets are refused", () => {
  assert.equal(readBodySize(octets("001FFFFFFFFFFFFF 0000"), 0), Number.MAX_SAFE_INTEGER);
  assert.equal(violation(() => readBodySize(octets("0020000000000000 0000"), 0)).code, 501);
  assert.equal(violation(() => decode(octets("FFFFFFFFFFFFFFFF 0000"))).code, 501);
  assert.throws(() => encode({}, 2 ** 53), { name: "AssertionFault" });
});

test("a text of 255 octets is written, one of 256 leaves nothing behind", () => {
  assert.equal(decode(encode({ replyTo: "x".repeat(255) })).replyTo, "x".repeat(255));
  const bytes = written((out) => {
    out.append(octets("11"));
    assert.throws(() => writeHeader(out, 1, 0, { replyTo: "x".repeat(256) }), { name: "AssertionFault" });
    out.append(octets("22"));
  });
  assert.equal(hexOf(bytes), "11 22");
});

test("random bytes are a violation or decode, and what decodes has passed the check", () => {
  const bytes = fc.tuple(
    fc.integer({ min: 0, max: 0xFFFF }),
    fc.uint8Array({ maxLength: 120, size: "max" }),
  ).map(([flags, list]) => Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, flags >> 8, flags, ...list));
  fc.assert(
    fc.property(fc.oneof(bytes, fc.uint8Array()), (run) => {
      const passes = passesOrViolates(() => checkProperties(run, 0, run.length));
      const decodes = passesOrViolates(() => decode(run));
      assert.ok(passes || !decodes);
    }),
    { numRuns: 1000 },
  );
});

test("headers with one byte changed are a violation or decode, and the hot readers never fault", () => {
  fc.assert(
    fc.property(properties, fc.nat(), fc.nat(255), (some, at, value) => {
      const run = encode(some);
      run[at % run.length] = value;
      const passes = passesOrViolates(() => checkProperties(run, 0, run.length));
      const decodes = passesOrViolates(() => decode(run));
      assert.ok(passes || !decodes);
      if (decodes) assert.equal(readDeliveryMode(run, 0), decode(run).deliveryMode ?? 0);
    }),
    { numRuns: 500 },
  );
});

test("a header is changed without touching what else stands in it", () => {
  const run = runOf(FULL_FRAME);
  assert.deepEqual(changeHeader(run, 0, run.length, () => {}), run);
  const changed = changeHeader(run, 0, run.length, (properties) => {
    delete properties.expiration;
    properties.headers!.set("more", { type: "S", value: "x" });
  });
  const { expiration: _, ...expected } = { ...FULL, bodySize: 16 };
  expected.headers = new Map([...FULL.headers!, [
    "more",
    { type: "S", value: "x" } as Field,
  ]]);
  assert.deepEqual(decodeHeader(changed, 0, changed.length), expected);
});
