import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { HASH_WEIGHT_MAX, HASH_WEIGHTS_MAX } from "../../limits.ts";
import { tableOf } from "../../wire/amqp_table.ts";
import { Refusal } from "../refusal.ts";
import { type Args, messageWith, messageWithHeaders, Topology } from "./exchange_testing.ts";

const KEYS = Array.from({ length: 500 }, (_, index) => `key.${index}`);

function hashExchange(bindings: readonly (readonly [queue: string, weight: number])[], args: Args = {}): Topology {
  const topology = new Topology();
  topology.declare("H", "x-consistent-hash", args);
  for (const [queue, weight] of bindings) topology.bind("H", queue, `${weight}`);
  return topology;
}

/** Where each of KEYS goes. */
function places(topology: Topology): string[] {
  return KEYS.map((key) => topology.routed("H", key).join());
}

const bindings = fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z]{1,6}$/), fc.integer({ min: 1, max: 6 })), {
  minLength: 1,
  maxLength: 8,
  selector: ([name]) => name,
});

test("every message goes to exactly one queue, the same key always to the same one", () => {
  const topology = hashExchange([["a", 1], ["b", 1], ["c", 1]]);
  const first = places(topology);
  assert.ok(first.every((queue) => ["a", "b", "c"].includes(queue)));
  assert.deepEqual(places(topology), first);
  assert.deepEqual(hashExchange([]).routed("H", "k"), []);
});

test("on the ring, a queue that comes or goes moves its share only", () => {
  fc.assert(
    fc.property(bindings, fc.integer({ min: 1, max: 6 }), (bound, weight) => {
      const topology = hashExchange(bound);
      const before = places(topology);
      topology.bind("H", "NEW", `${weight}`);
      const during = places(topology);
      for (const [index, place] of during.entries()) assert.ok(place === before[index] || place === "NEW");
      topology.unbind("H", "NEW", `${weight}`);
      assert.deepEqual(places(topology), before);
      const [gone, itsWeight] = bound[0]!;
      topology.unbind("H", gone, `${itsWeight}`);
      for (const [index, place] of places(topology).entries()) {
        if (before[index] !== gone) assert.equal(place, before[index]);
      }
    }),
    { numRuns: 50 },
  );
});

test("on the ring, the order of bindings means nothing", () => {
  fc.assert(
    fc.property(bindings, (bound) => {
      assert.deepEqual(places(hashExchange([...bound].reverse())), places(hashExchange(bound)));
    }),
    { numRuns: 30 },
  );
});

test("with jump, a queue that comes last takes its share only, and gives it back", () => {
  fc.assert(
    fc.property(bindings, fc.integer({ min: 1, max: 6 }), (bound, weight) => {
      const topology = hashExchange(bound, { "x-algorithm": "jump" });
      const before = places(topology);
      topology.bind("H", "NEW", `${weight}`);
      for (const [index, place] of places(topology).entries()) assert.ok(place === before[index] || place === "NEW");
      topology.unbind("H", "NEW", `${weight}`);
      assert.deepEqual(places(topology), before);
    }),
    { numRuns: 50 },
  );
});

for (const algorithm of ["ring", "jump"]) {
  test(`shares follow the weights (${algorithm})`, () => {
    const topology = hashExchange([["one", 1], ["three", 3], ["six", 6]], { "x-algorithm": algorithm });
    const counts = new Map<string, number>();
    const total = 10_000;
    for (let i = 0; i < total; i++) {
      const [queue] = topology.routed("H", `key-${i}`);
      counts.set(queue!, (counts.get(queue!) ?? 0) + 1);
    }
    for (const [queue, share] of [["one", 0.1], ["three", 0.3], ["six", 0.6]] as const) {
      const found = counts.get(queue)! / total;
      assert.ok(Math.abs(found - share) < 0.05, `${queue}: ${found}`);
    }
  });
}

test("what goes where is the same in every version: a restart moves nothing", () => {
  const bound = [["a", 1], ["b", 2], ["ü", 3]] as const;
  const keys = ["", "0", "order.42", "ключ", "x".repeat(255)];
  const ring = hashExchange(bound);
  assert.equal(keys.map((key) => ring.routed("H", key)).join(), "b,b,ü,ü,b");
  const jump = hashExchange(bound, { "x-algorithm": "jump" });
  assert.equal(keys.map((key) => jump.routed("H", key)).join(), "b,a,b,ü,a");
});

test("what is hashed is the key, a header, or a property", () => {
  const bound = [["a", 1], ["b", 1], ["c", 1], ["d", 1]] as const;
  const spread = (
    args: Args,
    make: (text: string) => ReturnType<typeof messageWith>,
    key: (text: string) => string,
  ) => {
    const topology = hashExchange(bound, args);
    return new Set(KEYS.map((text) => topology.routed("H", key(text), make(text)).join())).size;
  };
  const vary = (text: string) => text;
  const stay = () => "same";
  const byHeader = { "hash-header": "id" };
  assert.equal(spread(byHeader, (text) => messageWithHeaders({ id: text }), stay), 4);
  assert.equal(spread(byHeader, () => messageWithHeaders({ id: 5 }), vary), 1);
  assert.equal(spread(byHeader, () => messageWith({}), vary), 1, "without the header all go the same way");
  assert.equal(spread({ "x-hash-on": "id" }, (text) => messageWithHeaders({ id: text }), stay), 4);
  const properties: [string, (text: string) => ReturnType<typeof messageWith>][] = [
    ["correlation_id", (text) => messageWith({ correlationId: text, messageId: "m" })],
    ["message_id", (text) => messageWith({ messageId: text, correlationId: "c" })],
    ["timestamp", (text) => messageWith({ timestamp: Number(text.slice(4)), headers: tableOf({}) })],
  ];
  for (const [name, make] of properties) {
    const other = name === "message_id" ? "correlation_id" : "message_id";
    assert.equal(spread({ "hash-property": name }, make, stay), 4, name);
    if (name !== "timestamp") assert.equal(spread({ "hash-property": other }, make, vary), 1, `${name} as ${other}`);
    assert.equal(spread({ "hash-property": name }, () => messageWith({}), vary), 1, `no ${name}`);
  }
});

test("keys added by CC do not send a message to a second queue", () => {
  const topology = hashExchange([["a", 1], ["b", 1], ["c", 1]]);
  for (const key of KEYS) {
    assert.deepEqual(topology.route("H", [key, "cc.1", "cc.2"]).queues, topology.route("H", [key]).queues);
  }
});

function refused(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof Refusal && error.reason === "precondition-failed", String(error));
    return error.message;
  }
  return assert.fail("it was not refused");
}

test("a weight is a whole number above 0, up to a limit, as RabbitMQ words it", () => {
  const topology = hashExchange([]);
  const bind = (key: string) => refused(() => topology.bind("H", "q", key));
  assert.equal(bind("abc"), `The binding key must be an integer: <<"abc">>`);
  assert.equal(bind(""), `The binding key must be an integer: <<"">>`);
  assert.equal(bind("1.5"), `The binding key must be an integer: <<"1.5">>`);
  assert.equal(bind("0"), "The binding key must be greater than 0");
  assert.equal(bind("-3"), "The binding key must be greater than 0");
  assert.match(bind(`${HASH_WEIGHT_MAX + 1}`), /at most 1000/);
  assert.match(bind("9".repeat(200)), /at most 1000/);
  for (let i = 0; i < HASH_WEIGHTS_MAX / HASH_WEIGHT_MAX; i++) topology.bind("H", `q${i}`, `${HASH_WEIGHT_MAX}`);
  assert.match(bind("1"), /at most 10000 in sum/);
  topology.unbind("H", "q0", `${HASH_WEIGHT_MAX}`);
  topology.bind("H", "q", "1");
});

test("arguments that contradict each other or mean nothing are refused", () => {
  const declare = (args: Args) => refused(() => new Topology().declare("H", "x-consistent-hash", args));
  assert.equal(
    declare({ "hash-header": "a", "hash-property": "message_id" }),
    "hash-header and hash-property are mutually exclusive",
  );
  assert.equal(declare({ "hash-property": "app_id" }), "Unsupported property: app_id");
  assert.match(
    declare({ "hash-header": 5 }),
    /^invalid type 'signedint' for arg 'hash-header' in exchange 'H' in vhost/,
  );
  assert.match(
    declare({ "x-algorithm": "best" }),
    /^invalid arg 'x-algorithm' for exchange 'H' .*expected ring or jump/,
  );
});
