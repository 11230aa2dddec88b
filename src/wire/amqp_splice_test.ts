import assert from "node:assert/strict";
import { test } from "node:test";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { decodeHeader, type Properties, putProperties } from "./amqp_properties.ts";
import { SPLICE_BYTES_MAX, spliceHeader } from "./amqp_splice.ts";
import type { Field } from "./amqp_table.ts";
import { putLonglong } from "./amqp_values.ts";

/** The field `n`, a signed 64 bit 5. */
const FIELD = Uint8Array.of(1, 0x6e, 0x6c, 0, 0, 0, 0, 0, 0, 0, 5);

function splice(properties: Properties): Properties {
  const out = new OutBuffer(new BufferPool());
  putLonglong(out, 77);
  putProperties(out, properties);
  const bytes = out.bytes.slice(out.start, out.end);
  const padded = new Uint8Array(bytes.length + 3);
  padded.set(bytes, 3);
  const target = new Uint8Array(bytes.length + FIELD.length + SPLICE_BYTES_MAX);
  const size = spliceHeader(padded, 3, bytes.length, FIELD, target);
  const { bodySize, ...found } = decodeHeader(target, 0, size);
  assert.equal(bodySize, 77);
  return found;
}

const five: [string, Field] = ["n", { type: "l", value: 5 }];

test("a field is added to headers, and headers to a message that has none", () => {
  const others: Properties[] = [
    {},
    { contentType: "text/plain", contentEncoding: "gzip", deliveryMode: 2, messageId: "m", timestamp: 9 },
    { contentEncoding: "", clusterId: "c" },
    { contentType: "x" },
  ];
  for (const other of others) {
    assert.deepEqual(splice(other), { ...other, headers: new Map([five]) });
    assert.deepEqual(splice({ ...other, headers: new Map() }), { ...other, headers: new Map([five]) });
    const headers = new Map<string, Field>([["a", { type: "S", value: "b" }], ["t", { type: "t", value: true }]]);
    assert.deepEqual(splice({ ...other, headers }), { ...other, headers: new Map([...headers, five]) });
  }
});

test("it wins over one of the same name that was there", () => {
  const headers = new Map<string, Field>([["n", { type: "S", value: "of another stream" }]]);
  assert.deepEqual(splice({ headers }).headers?.get("n"), { type: "l", value: 5 });
});
