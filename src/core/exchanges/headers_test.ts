import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { Refusal } from "../refusal.ts";
import { tableOf } from "../../wire/amqp_table.ts";
import { type Args, messageWith, messageWithHeaders, Topology } from "./exchange_testing.ts";

function headersExchange(bindings: { readonly [queue: string]: Args }): Topology {
  const topology = new Topology();
  topology.declare("h", "headers");
  for (const [queue, args] of Object.entries(bindings)) topology.bind("h", queue, "", args);
  return topology;
}

test("all of a pattern's fields match, or any of them (behaviours 33)", () => {
  const topology = headersExchange({
    default: { a: 1, b: "x" },
    all: { "x-match": "all", a: 1, b: "x" },
    any: { "x-match": "any", a: 1, b: "x" },
  });
  const routed = (headers: Parameters<typeof messageWithHeaders>[0]) =>
    topology.routed("h", "", messageWithHeaders(headers));
  assert.deepEqual(routed({ a: 1, b: "x", c: null }), ["all", "any", "default"]);
  assert.deepEqual(routed({ a: 1 }), ["any"]);
  assert.deepEqual(routed({ a: 2, b: "x" }), ["any"]);
  assert.deepEqual(routed({ a: 2, b: "y" }), []);
  assert.deepEqual(routed({}), []);
  assert.deepEqual(topology.routed("h", "", messageWith({})), [], "a message may have no headers at all");
});

test("fields that begin with x- are part of the pattern only when its mode says so", () => {
  const topology = headersExchange({
    all: { "x-match": "all", "x-a": 1, b: 1 },
    any: { "x-match": "any", "x-a": 1, b: 1 },
    "all-with-x": { "x-match": "all-with-x", "x-a": 1, b: 1 },
    "any-with-x": { "x-match": "any-with-x", "x-a": 1, b: 1 },
  });
  const routed = (headers: Parameters<typeof messageWithHeaders>[0]) =>
    topology.routed("h", "", messageWithHeaders(headers));
  assert.deepEqual(routed({ "x-a": 1 }), ["any-with-x"]);
  assert.deepEqual(routed({ b: 1 }), ["all", "any", "any-with-x"]);
  assert.deepEqual(routed({ b: 1, "x-a": 1 }), ["all", "all-with-x", "any", "any-with-x"]);
  assert.deepEqual(routed({ "x-match": "all-with-x" }), [], "x-match itself is never compared");
});

test("all of nothing matches every message, any of nothing none", () => {
  const topology = headersExchange({ all: {}, any: { "x-match": "any" }, x: { "x-match": "all", "x-a": 1 } });
  assert.deepEqual(topology.routed("h"), ["all", "x"]);
  assert.deepEqual(topology.routed("h", "", messageWithHeaders({ a: 1 })), ["all", "x"]);
});

test("a field without value matches whatever value is there", () => {
  const topology = headersExchange({ all: { a: null, b: 1 }, any: { "x-match": "any", a: null } });
  assert.deepEqual(topology.routed("h", "", messageWithHeaders({ a: [1] })), ["any"]);
  assert.deepEqual(topology.routed("h", "", messageWithHeaders({ a: null, b: 1 })), ["all", "any"]);
  assert.deepEqual(topology.routed("h", "", messageWithHeaders({ b: 1 })), []);
});

test("values are compared by what they are, not by how wide they travel", () => {
  const topology = headersExchange({ number: { v: 5 }, text: { v: "5" }, list: { v: [1, "a"] }, yes: { v: true } });
  const routed = (field: Parameters<typeof messageWith>[0]["headers"]) =>
    topology.routed("h", "", messageWith({ headers: field! }));
  for (const type of ["b", "s", "I", "l", "d"] as const) {
    assert.deepEqual(routed(new Map([["v", { type, value: 5 }]])), ["number"], type);
  }
  assert.deepEqual(routed(new Map([["v", { type: "l", value: 5n }]])), ["number"]);
  assert.deepEqual(routed(new Map([["v", { type: "D", value: { scale: 1, value: 50 } }]])), ["number"]);
  assert.deepEqual(routed(tableOf({ v: "5" })), ["text"]);
  assert.deepEqual(routed(new Map([["v", { type: "x", value: new TextEncoder().encode("5") }]])), ["text"]);
  assert.deepEqual(routed(tableOf({ v: [1, "a"] })), ["list"]);
  assert.deepEqual(routed(tableOf({ v: true })), ["yes"]);
  assert.deepEqual(routed(tableOf({ v: 5.5 })), []);
});

test("headers that cannot be decoded match like none", () => {
  const topology = headersExchange({ a: { "x-match": "any", a: 1 }, b: {} });
  const message = messageWithHeaders({ a: 1 });
  message.header[message.header.length - 9] = "?".charCodeAt(0);
  assert.deepEqual(topology.routed("h", "", message), ["b"]);
});

test("an x-match that means nothing is refused as RabbitMQ words it (behaviours 33)", () => {
  const topology = headersExchange({});
  const refuses = (args: Args, text: string) =>
    assert.throws(() => topology.bind("h", "q", "", args), (error) => {
      assert.ok(error instanceof Refusal);
      assert.deepEqual([error.reason, error.message], ["precondition-failed", text]);
      return true;
    });
  refuses(
    { "x-match": "some" },
    `Invalid x-match field value <<"some">>; expected all, any, all-with-x, or any-with-x`,
  );
  refuses({ "x-match": 5 }, "Invalid x-match field type signedint (value 5); expected longstr");
  refuses({ "x-match": true }, "Invalid x-match field type bool (value true); expected longstr");
  assert.equal(topology.exchanges.get("h")!.bindingCount, 0);
});

test("patterns found by their fields are those that a look at every one of them finds, also after unbinding", () => {
  const name = fc.constantFrom("a", "b", "x-c");
  const value = fc.constantFrom(1, 2, "1", null);
  const headers = fc.dictionary(name, value, { maxKeys: 3 });
  const mode = fc.constantFrom(undefined, "all", "any", "all-with-x", "any-with-x");
  const pattern = fc.tuple(mode, headers).map(([mode, fields]): Args => mode ? { "x-match": mode, ...fields } : fields);
  fc.assert(
    fc.property(fc.array(fc.tuple(pattern, fc.boolean()), { maxLength: 8 }), headers, (patterns, fields) => {
      const topology = new Topology();
      topology.declare("h", "headers");
      for (const [index, [args]] of patterns.entries()) topology.bind("h", `${index}`, "", args);
      for (const [index, [args, stays]] of patterns.entries()) if (!stays) topology.unbind("h", `${index}`, "", args);
      const expected = [...patterns.keys()].filter((index) =>
        patterns[index]![1] && accepts(patterns[index]![0], fields)
      );
      assert.deepEqual(topology.routed("h", "", messageWithHeaders(fields)), expected.map(String).sort());
    }),
    { numRuns: 1000 },
  );
});

/** The rule itself. */
function accepts(pattern: Args, headers: Args): boolean {
  const mode = String(pattern["x-match"] ?? "all");
  const wanted = Object.entries(pattern).filter(([name]) =>
    name !== "x-match" && (mode.endsWith("x") || !name.startsWith("x-"))
  );
  const holds = ([name, value]: [string, unknown]) =>
    Object.hasOwn(headers, name) && (value === null || headers[name] === value);
  return mode.startsWith("any") ? wanted.some(holds) : wanted.every(holds);
}
