import assert from "node:assert/strict";
import { test } from "node:test";
import { OptionFault, optionsOf, type PerfFlags, shareOf } from "./options.ts";

const DEFAULTS: PerfFlags = {
  uri: "amqp://h",
  publishers: 1,
  consumers: 1,
  size: 16,
  prefetch: 0,
  confirm: 0,
  queue: "q",
  queues: 1,
  exchange: "",
  exchangeType: "direct",
  declare: true,
};

test("each message is acknowledged unless something else is asked for", () => {
  assert.equal(optionsOf(DEFAULTS).ackEvery, 1);
  assert.equal(optionsOf({ ...DEFAULTS, autoack: true }).ackEvery, 0);
  assert.equal(optionsOf({ ...DEFAULTS, ackEvery: 50, prefetch: 50 }).ackEvery, 50);
});

test("several queues are numbered, one has the plain name", () => {
  assert.deepEqual(optionsOf(DEFAULTS).queues, ["q"]);
  assert.deepEqual(optionsOf({ ...DEFAULTS, queues: 3 }).queues, ["q-1", "q-2", "q-3"]);
});

test("what does not go together is refused", () => {
  const wrong: Partial<PerfFlags>[] = [
    { autoack: true, ackEvery: 2 },
    { durable: true, transient: true },
    { publishers: 0, consumers: 0 },
    { prefetch: 3, ackEvery: 4 },
    { queues: 1000, size: 1024 * 1024 },
  ];
  for (const flags of wrong) {
    assert.throws(() => optionsOf({ ...DEFAULTS, ...flags }), OptionFault, JSON.stringify(flags));
  }
});

test("queues are shared out so that each is served", () => {
  const queues = ["a", "b", "c"];
  assert.deepEqual([0, 1].map((party) => shareOf(queues, party, 2)), [["a", "c"], ["b"]]);
  assert.deepEqual([0, 1, 2, 3, 4].map((party) => shareOf(queues, party, 5)), [["a"], ["b"], ["c"], ["a"], ["b"]]);
});
