import { test } from "node:test";
import assert from "node:assert/strict";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { Message } from "../store/message.ts";
import { putProperties } from "../wire/amqp_properties.ts";
import { type PlainValue, tableOf } from "../wire/amqp_table.ts";
import { putLonglong } from "../wire/amqp_values.ts";
import type { ArgumentValue } from "./arguments.ts";
import { Deduplication, DeduplicationCache } from "./deduplication.ts";
import { Refusal } from "./refusal.ts";

function message(headers?: Record<string, PlainValue>): Message {
  const out = new OutBuffer(new BufferPool());
  putLonglong(out, 0);
  putProperties(out, headers === undefined ? {} : { headers: tableOf(headers) });
  const message = new Message();
  message.header = out.bytes.slice(out.start, out.end);
  message.headerBytes = message.header.length;
  return message;
}

function deduplication(args: Record<string, ArgumentValue>): Deduplication {
  const made = Deduplication.of(new Map(Object.entries({ "x-message-deduplication": true, ...args })), "exchange 'e'");
  assert.ok(made !== null);
  return made;
}

test("a key is known until its time is over", () => {
  const cache = new DeduplicationCache(10);
  cache.add("a", 1000, 50);
  cache.add("b", 1000, Infinity);
  assert.ok(cache.has("a", 1049));
  assert.ok(!cache.has("a", 1050));
  assert.ok(!cache.has("a", 1049), "what has ended is gone");
  assert.ok(cache.has("b", 1e15));
  assert.ok(!cache.has("c", 1000));
  assert.equal(cache.size, 1);
});

test("of too many keys the oldest goes", () => {
  const cache = new DeduplicationCache(3);
  for (const key of ["a", "b", "c", "a", "d"]) cache.add(key, 0, Infinity);
  assert.deepEqual(["a", "b", "c", "d"].filter((key) => cache.has(key, 0)), ["a", "c", "d"]);
  assert.equal(cache.size, 3);
});

test("messages are known by the value of one header, whatever its width", () => {
  const one = deduplication({});
  assert.ok(one.admits(message({ "x-deduplication-header": "1" }), 0));
  assert.ok(!one.admits(message({ "x-deduplication-header": "1", other: 2 }), 0));
  assert.ok(one.admits(message({ "x-deduplication-header": 1 }), 0), "a number is no text");
  assert.ok(!one.admits(message({ "x-deduplication-header": 1n }), 0));
  assert.ok(!one.admits(message({ "x-deduplication-header": 1 }), 0));
  assert.ok(one.admits(message({ "x-deduplication-header": { a: [1, null] } }), 0));
  assert.ok(!one.admits(message({ "x-deduplication-header": { a: [1, null] } }), 0));
});

test("who has not the header is never a duplicate", () => {
  const one = deduplication({ "x-deduplication-header": "id" });
  for (let i = 0; i < 2; i++) {
    assert.ok(one.admits(message(), 0));
    assert.ok(one.admits(message({ "x-deduplication-header": "1" }), 0));
  }
  assert.ok(one.admits(message({ id: "1" }), 0));
  assert.ok(!one.admits(message({ id: "1" }), 0));
});

test("long values are told apart by all of their characters", () => {
  const one = deduplication({});
  const long = "x".repeat(100_000);
  assert.ok(one.admits(message({ "x-deduplication-header": `${long}a` }), 0));
  assert.ok(one.admits(message({ "x-deduplication-header": `${long}b` }), 0));
  assert.ok(!one.admits(message({ "x-deduplication-header": `${long}a` }), 0));
});

test("a message's own time goes before that of the arguments", () => {
  const one = deduplication({ "x-cache-ttl": 1000 });
  assert.ok(one.admits(message({ "x-deduplication-header": "short", "x-cache-ttl": 10 }), 0));
  assert.ok(one.admits(message({ "x-deduplication-header": "usual" }), 0));
  assert.ok(one.admits(message({ "x-deduplication-header": "short" }), 10));
  assert.ok(!one.admits(message({ "x-deduplication-header": "usual" }), 999));
  assert.ok(one.admits(message({ "x-deduplication-header": "usual" }), 1000));
});

test("what was retracted is new again", () => {
  const one = deduplication({});
  const again = message({ "x-deduplication-header": "1" });
  assert.ok(one.admits(again, 0));
  one.retract(again);
  assert.ok(one.admits(again, 0));
});

test("arguments that mean nothing are refused by name", () => {
  const bad: [string, ArgumentValue, RegExp][] = [
    ["x-message-deduplication", "yes", /'x-message-deduplication' for exchange 'e': \{unacceptable_type,longstr\}/],
    ["x-cache-size", 0, /'x-cache-size' .*: \{value_out_of_range,0,1,1000000\}/],
    ["x-cache-size", 1.5, /value_out_of_range/],
    ["x-cache-size", "5", /unacceptable_type,longstr/],
    ["x-cache-ttl", -1, /'x-cache-ttl' .*value_out_of_range,-1/],
    ["x-deduplication-header", 1, /'x-deduplication-header' .*unacceptable_type,signedint/],
  ];
  for (const [name, value, text] of bad) {
    assert.throws(
      () => deduplication({ [name]: value }),
      (error) => error instanceof Refusal && text.test(error.message),
    );
  }
  assert.equal(Deduplication.of(new Map([["x-message-deduplication", false]]), ""), null);
  assert.equal(Deduplication.of(new Map([["x-cache-size", 3]]), ""), null);
});
