import { test } from "node:test";
import assert from "node:assert/strict";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { tableOf } from "../wire/amqp_table.ts";
import {
  decodeHeader,
  HEADER_PREFIX_BYTES,
  type Properties,
  propertiesFlags,
  writeHeader,
} from "../wire/amqp_properties.ts";
import { RARE_PROPERTIES, readRareProperties, type Sender } from "./rare_properties.ts";

const ALICE: Sender = { userName: "alice", impersonates: false, replyAddress: null };

/** The run of a content header, with octets around it. */
function read(sender: Sender, properties: Properties) {
  const out = new OutBuffer(new BufferPool());
  writeHeader(out, 1, 5, properties);
  const at = out.start + 7 + HEADER_PREFIX_BYTES;
  const size = out.end - 1 - at;
  const flags = propertiesFlags(out.bytes, at) & RARE_PROPERTIES;
  return readRareProperties(sender, flags, out.bytes, at, size);
}

test("what asks for nothing gives nothing", () => {
  assert.equal(read(ALICE, { headers: tableOf({ x: "y", ACCOUNT: 1 }), replyTo: "q", userId: "alice" }), null);
  assert.equal(read(ALICE, { headers: tableOf({ CC: [] }) }), null);
});

test("a user id is the sender's own, unless it may speak for others", () => {
  assert.throws(
    () => read(ALICE, { userId: "bob" }),
    /user_id property set to 'bob' but authenticated user was 'alice'/,
  );
  assert.equal(read({ ...ALICE, impersonates: true }, { userId: "bob" }), null);
});

test("CC stays, BCC goes, both give keys in their order", () => {
  const rewrite = read(ALICE, { headers: tableOf({ CC: ["a", "b"], BCC: ["c"] }), appId: "app" });
  assert.deepEqual(rewrite?.copies, ["a", "b", "c"]);
  const header = decodeHeader(rewrite!.header!, 0, rewrite!.header!.length);
  assert.deepEqual(header, { bodySize: 5, headers: tableOf({ CC: ["a", "b"] }), appId: "app" });
  assert.equal(read(ALICE, { headers: tableOf({ CC: ["a"] }) })?.header, null);
});

test("the name of direct replies becomes the sender's address, and is refused without one", () => {
  const replyTo = "amq.rabbitmq.reply-to";
  assert.throws(() => read(ALICE, { replyTo }), /fast reply consumer does not exist/);
  const rewrite = read({ ...ALICE, replyAddress: `${replyTo}.x` }, { replyTo, correlationId: "c" });
  const header = decodeHeader(rewrite!.header!, 0, rewrite!.header!.length);
  assert.deepEqual([header.replyTo, header.correlationId, rewrite!.copies], [`${replyTo}.x`, "c", []]);
  assert.equal(read(ALICE, { replyTo: `${replyTo}.x` }), null);
});
