import { test } from "node:test";
import assert from "node:assert/strict";
import { type Args, messageWith, messageWithHeaders, namesOf, Topology } from "./exchange_testing.ts";

test("the alternate exchange gets what matches nothing, and only that (behaviours 31)", () => {
  const topology = new Topology();
  topology.declare("main", "direct", { "alternate-exchange": "other" });
  topology.declare("other", "fanout");
  topology.bind("main", "a", "k");
  topology.bind("other", "rest");
  assert.deepEqual(topology.routed("main", "k"), ["a"]);
  assert.deepEqual(topology.routed("main", "unknown"), ["rest"]);
  assert.deepEqual(namesOf(topology.route("main", ["unknown", "k"])), ["a"], "one key that matches is enough");
});

test("alternate exchanges form chains, and circles of them end (behaviours 31)", () => {
  const topology = new Topology();
  topology.declare("one", "direct", { "alternate-exchange": "two" });
  topology.declare("two", "topic", { "alternate-exchange": "three" });
  topology.declare("three", "headers", { "alternate-exchange": "one" });
  assert.deepEqual(topology.routed("one", "k"), []);
  topology.bind("three", "q", "", { a: 1 });
  assert.deepEqual(topology.routed("one", "k", messageWithHeaders({ a: 1 })), ["q"]);
  assert.deepEqual(topology.routed("one", "k", messageWithHeaders({ a: 2 })), []);
  topology.declare("self", "direct", { "alternate-exchange": "self" });
  assert.deepEqual(topology.routed("self", "k"), []);
});

test("an alternate exchange that is not there loses what is sent to it; the default one leads to queues by name", () => {
  const topology = new Topology();
  topology.declare("lost", "direct", { "alternate-exchange": "nowhere" });
  topology.declare("default", "direct", { "alternate-exchange": "" });
  topology.queue("q");
  assert.deepEqual(topology.routed("lost", "q"), []);
  assert.deepEqual(topology.routed("default", "q"), ["q"]);
});

test("an exchange bound to another has its own alternate; a match without queues is a match (behaviours 29, 31)", () => {
  const topology = new Topology();
  topology.declare("outer", "fanout", { "alternate-exchange": "unused" });
  topology.declare("inner", "direct", { "alternate-exchange": "rest" });
  topology.declare("unused", "fanout");
  topology.declare("rest", "fanout");
  topology.bind("outer", "inner");
  topology.bind("unused", "never");
  topology.bind("rest", "q");
  assert.deepEqual(topology.routed("outer", "k"), ["q"]);
});

test("a route holds for its keys until something reads the message", () => {
  const topology = new Topology();
  for (const type of ["direct", "fanout", "topic", "headers"]) topology.declare(type, type);
  topology.declare("hash", "x-consistent-hash");
  topology.declare("hash-header", "x-consistent-hash", { "hash-header": "id" });
  topology.declare("once", "fanout", { "x-message-deduplication": true });
  topology.declare("alternate", "direct", { "alternate-exchange": "headers" });
  for (const type of ["direct", "fanout", "topic", "alternate"]) topology.bind(type, "q", "k");
  topology.bind("headers", "q", "", { a: 1 });
  topology.bind("hash", "q", "1");
  topology.bind("hash-header", "q", "1");
  topology.bind("direct", "headers", "to.headers");
  const cacheable = (exchange: string, key: string) => topology.route(exchange, [key]).cacheable;
  for (const type of ["", "direct", "fanout", "topic", "hash", "alternate"]) assert.ok(cacheable(type, "k"), type);
  for (const type of ["headers", "hash-header", "once"]) assert.ok(!cacheable(type, "k"), type);
  assert.ok(!cacheable("direct", "to.headers"), "through a binding");
  assert.ok(!cacheable("alternate", "unknown"), "through the alternate exchange");
  assert.ok(cacheable("direct", "unknown"), "nobody looks at this message");
});

test("a message that came before goes nowhere, not even to the alternate exchange", () => {
  const topology = new Topology();
  topology.declare("once", "direct", { "x-message-deduplication": true, "alternate-exchange": "rest" });
  topology.declare("rest", "fanout");
  topology.bind("once", "q", "k");
  topology.bind("rest", "r");
  const message = messageWithHeaders({ "x-deduplication-header": "1" });
  const first = topology.route("once", ["k"], message);
  assert.deepEqual(namesOf(first), ["q"]);
  assert.deepEqual(topology.routed("once", "k", message), ["q"], "as long as it has not been taken");
  first.remember!();
  assert.deepEqual(topology.routed("once", "k", message), []);
  assert.deepEqual(topology.routed("once", "k", messageWithHeaders({ "x-deduplication-header": "2" })), ["q"]);
  const plain = topology.route("once", ["k"], messageWith({}));
  assert.deepEqual([namesOf(plain), plain.remember], [["q"], null], "without the header nothing is remembered");
});

test("duplicates are found behind bindings too, each exchange by its own header and memory", () => {
  const topology = new Topology();
  const once = (header: string): Args => ({ "x-message-deduplication": true, "x-deduplication-header": header });
  topology.declare("start", "fanout");
  topology.declare("by-a", "fanout", once("a"));
  topology.declare("by-b", "fanout", { ...once("b"), "x-cache-size": 1 });
  topology.bind("start", "by-a");
  topology.bind("start", "by-b");
  topology.bind("by-a", "qa");
  topology.bind("by-b", "qb");
  const publish = (a: number, b: number) => {
    const route = topology.route("start", [""], messageWithHeaders({ a, b }));
    route.remember?.();
    return namesOf(route);
  };
  assert.deepEqual(publish(1, 1), ["qa", "qb"]);
  assert.deepEqual(publish(1, 2), ["qb"]);
  assert.deepEqual(publish(2, 2), ["qa"]);
  assert.deepEqual(publish(2, 1), ["qb"], "one entry is all that by-b remembers");
  assert.deepEqual(publish(1, 1), []);
});
