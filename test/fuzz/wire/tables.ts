// Targets `tables`, `methods` and `properties`: the codecs take exactly what the grammar takes, refuse the rest with a
// ProtocolViolation, and encode what they decoded to the octets that it came from.

import assert from "node:assert/strict";
import { fromTable } from "../../../src/amqp/field_values.ts";
import { argumentsEqual, argumentsFromJson, argumentsToJson } from "../../../src/core/arguments.ts";
import { canonicalText } from "../../../src/core/canonical.ts";
import { ProtocolViolation } from "../../../src/wire/amqp_frame.ts";
import { decodeMethod, writeMethod } from "../../../src/wire/amqp_methods.ts";
import {
  changeHeader,
  checkProperties,
  decodeHeader,
  findProperty,
  PROPERTY_CONTENT_TYPE,
  readBodySize,
  readDeliveryMode,
} from "../../../src/wire/amqp_properties.ts";
import { spliceHeader } from "../../../src/wire/amqp_splice.ts";
import { type FieldTable, tablesEqual, toPlain } from "../../../src/wire/amqp_table.ts";
import { decodeTable, putTable } from "../../../src/wire/amqp_table_codec.ts";
import { BufferPool, OutBuffer } from "../../../src/lib/out_buffer.ts";
import type { FuzzTarget } from "../fuzz_target.ts";
import { joined, mutate } from "../mutate.ts";
import type { FuzzRandom } from "../random.ts";
import { Builder } from "./builder.ts";
import { judgeHeader, judgeMethod, judgeTable } from "./grammar.ts";

const POOL = new BufferPool();

/** A valid structure, mostly broken in one place, sometimes in any. */
function made(random: FuzzRandom, corpus: readonly Uint8Array[], build: (builder: Builder) => void): Uint8Array {
  if (corpus.length > 0 && random.oneIn(4)) return mutate(random.pick(corpus), random, corpus);
  const builder = new Builder(random);
  build(builder);
  if (random.oneIn(3)) builder.breakOne();
  return random.oneIn(4) ? mutate(builder.take(), random, corpus) : builder.take();
}

/** What `decode` gives; null when it refuses in the way that it may. */
function decoded<T>(decode: () => T): T | null {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ProtocolViolation && (error.code === 501 || error.code === 540)) return null;
    throw error;
  }
}

function sameOctets(actual: Uint8Array, expected: Uint8Array, what: string): void {
  if (Buffer.compare(actual, expected) !== 0) assert.deepEqual([...actual], [...expected], what);
}

export const tables: FuzzTarget = {
  name: "tables",
  form: "hex",
  share: 2,

  make(random, corpus) {
    return made(random, corpus, (builder) => {
      if (random.oneIn(12)) nest(builder, random.between(14, 18));
      else if (random.oneIn(200)) crowd(builder, random.between(65_530, 65_542));
      else builder.table();
    });
  },

  check(input) {
    const verdict = judgeTable(input);
    const table = decoded(() => decodeTable(input, 0, input.length));
    assert.equal(table !== null, verdict.ok, `the octets are ${verdict.ok ? "" : "not "}a table`);
    if (table === null) return;
    const octets = encoded(table);
    if (verdict.canonical) sameOctets(octets, input, "a table encodes to what it was");
    const again = decodeTable(octets, 0, octets.length);
    sameOctets(encoded(again), octets, "what was encoded is encoded the same again");
    assert.ok(tablesEqual(table, again), "a table is equal to itself");
    // The rest is about what was decoded, of which a part is enough.
    if (input.length % 4 !== 0) return;
    JSON.stringify(toPlain(table));
    const args = fromTable(table);
    assert.equal(canonicalText(args), canonicalText(fromTable(again)), "canonical texts are the same");
    const kept = argumentsFromJson(JSON.parse(JSON.stringify(argumentsToJson(args))));
    assert.equal(canonicalText(kept), canonicalText(args), "arguments come back from the definitions");
    assert.ok(hasNan(table) || argumentsEqual(kept, args), "and are equal");
  },
};

function encoded(table: FieldTable): Uint8Array {
  const out = new OutBuffer(POOL);
  putTable(out, table);
  const octets = out.bytes.slice(out.start, out.end);
  out.clear();
  return octets;
}

/** Tables or arrays in each other. */
function nest(builder: Builder, depth: number): void {
  const arrays = builder.random.oneIn(2);
  const level = (left: number): void => {
    builder.sized(4, () => {
      if (left === 0) return;
      if (!arrays || left === depth) builder.shortString(new Uint8Array(0));
      builder.field(1, arrays ? 0x41 : 0x46);
      level(left - 1);
    });
  };
  level(depth);
}

/** An array of so many nothings. */
function crowd(builder: Builder, count: number): void {
  builder.sized(4, () => {
    builder.shortString(new Uint8Array(0));
    builder.field(1, 0x41);
    builder.longString(new Uint8Array(count - 1).fill(0x56));
  });
}

function hasNan(table: unknown): boolean {
  return /d(NaN|.*NaN);/.test(canonicalText(table as never));
}

export const methods: FuzzTarget = {
  name: "methods",
  form: "hex",
  share: 2,

  make: (random, corpus) => made(random, corpus, (builder) => builder.method()),

  check(input) {
    const verdict = judgeMethod(input);
    const method = decoded(() => decodeMethod(input, 0, input.length));
    assert.equal(method !== null, verdict.ok, `the octets are ${verdict.ok ? "" : "not "}a method`);
    if (method === null) return;
    const octets = payloadOf((out) => writeMethod(out, 1, method));
    if (verdict.canonical) sameOctets(octets, input, "a method encodes to what it was");
    const again = decodeMethod(octets, 0, octets.length);
    sameOctets(payloadOf((out) => writeMethod(out, 1, again)), octets, "what was encoded is encoded the same again");
  },
};

/** The payload of the one frame that `write` writes. */
function payloadOf(write: (out: OutBuffer) => void): Uint8Array {
  const out = new OutBuffer(POOL);
  write(out);
  const payload = out.bytes.slice(out.start + 7, out.end - 1);
  assert.equal(out.view.getUint32(out.start + 3), payload.length, "a frame says how long it is");
  out.clear();
  return payload;
}

/** What stands before a header when it lies in a chunk: positions must not be taken from its beginning. */
const BEFORE = 3;
/** "x", long string "é". */
const FIELD = Uint8Array.of(1, 0x78, 0x53, 0, 0, 0, 2, 0xc3, 0xa9);

export const properties: FuzzTarget = {
  name: "properties",
  form: "hex",
  share: 2,

  make: (random, corpus) => made(random, corpus, (builder) => builder.header(random.edge())),

  check(input) {
    const bytes = joined(new Uint8Array(BEFORE).fill(0xff), input, Uint8Array.of(0xff, 0xff));
    const size = input.length;
    const shallow = judgeHeader(input, 0, size, false);
    const checked = decoded(() => checkProperties(bytes, BEFORE, size)) === true;
    assert.equal(checked, shallow.ok, `the property list is ${shallow.ok ? "" : "not "}as long as it says`);
    const deep = judgeHeader(input, 0, size, true);
    const header = decoded(() => decodeHeader(bytes, BEFORE, size));
    const bodySize = decoded(() => size < 8 ? null : readBodySize(bytes, BEFORE));
    assert.equal(header !== null, deep.ok && bodySize !== null, `the header is ${deep.ok ? "" : "not "}whole`);
    if (!checked) return;
    // What is only for checked headers, on every one of them.
    const mode = readDeliveryMode(bytes, BEFORE);
    for (let flag = PROPERTY_CONTENT_TYPE; flag > 2; flag >>= 1) {
      const at = findProperty(bytes, BEFORE, flag);
      assert.ok(at === -1 || at > BEFORE && at <= BEFORE + size, "a property stands within its header");
    }
    splice(bytes, size, header !== null && deep.canonical);
    if (header === null) return;
    assert.equal(mode, header.deliveryMode ?? 0, "delivery modes agree");
    assert.equal(bodySize, header.bodySize, "body sizes agree");
    const rewritten = changeHeader(bytes, BEFORE, size, () => {});
    if (deep.canonical) sameOctets(rewritten, input, "a header that is not changed stays as it is");
    sameOctets(
      changeHeader(rewritten, 0, rewritten.length, () => {}),
      rewritten,
      "what was written anew is written the same again",
    );
  },
};

function splice(bytes: Uint8Array, size: number, readable: boolean): void {
  const target = new Uint8Array(size + FIELD.length + 4 + 8).fill(0xaa);
  const count = spliceHeader(bytes, BEFORE, size, FIELD, target);
  assert.ok(count <= size + FIELD.length + 4, "a spliced header has room");
  assert.ok(target.subarray(count).every((octet) => octet === 0xaa), "nothing is written behind it");
  const own = bytes.slice(BEFORE, BEFORE + size);
  assert.ok(judgeHeader(target, 0, count, false).ok, "a spliced header is as long as it says");
  if (!readable) return;
  const before = decodeHeader(own, 0, size);
  const after = decodeHeader(target, 0, count);
  const headers = new Map(before.headers ?? []);
  headers.set("x", { type: "S", value: "é" });
  assert.deepEqual(after, { ...before, headers }, "and has one field more");
}
