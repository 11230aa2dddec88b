import { test } from "node:test";
import assert from "node:assert/strict";
import { type ArgumentValue, NO_ARGUMENTS } from "./arguments.ts";
import { checkProperties, QueueSettings } from "./queue_settings.ts";
import { Refusal } from "./refusal.ts";

const TEXT = "queue 'q' in vhost '/'";

function settings(args: Record<string, ArgumentValue>): QueueSettings {
  return QueueSettings.of(new Map(Object.entries(args)), TEXT);
}

function refused(args: Record<string, ArgumentValue>): string {
  try {
    settings(args);
  } catch (refusal) {
    assert.ok(refusal instanceof Refusal);
    return refusal.message.replace(` for ${TEXT}:`, "");
  }
  return "";
}

test("what is not asked for is null", () => {
  const plain = QueueSettings.of(NO_ARGUMENTS, TEXT);
  assert.deepEqual({ ...plain }, {
    type: "classic",
    messageTtlMs: null,
    expiresMs: null,
    maxLength: null,
    maxLengthBytes: null,
    overflow: "drop-head",
    deadLetterExchange: null,
    deadLetterRoutingKey: null,
    deliveryLimit: null,
    countsDeliveries: false,
    singleActiveConsumer: false,
    consumerTimeoutMs: null,
    maxPriority: null,
  });
  assert.equal(QueueSettings.of(new Map(), "another"), plain, "they share it");
  assert.deepEqual({ ...settings({ "x-note": "mine" }) }, { ...plain });
});

test("quorum queues have a delivery limit of 20, unless they name another or none (behaviours 36)", () => {
  assert.equal(settings({ "x-queue-type": "quorum" }).deliveryLimit, 20);
  assert.equal(settings({ "x-queue-type": "quorum", "x-delivery-limit": 3 }).deliveryLimit, 3);
  const unlimited = settings({ "x-queue-type": "quorum", "x-delivery-limit": -1 });
  assert.deepEqual([unlimited.deliveryLimit, unlimited.countsDeliveries], [null, true]);
  assert.deepEqual(settings({ "x-delivery-limit": 0 }).deliveryLimit, 0);
});

test("times fit a u32, and only an unused queue's may not be 0", () => {
  assert.equal(settings({ "x-message-ttl": 0 }).messageTtlMs, 0);
  assert.equal(settings({ "x-message-ttl": 4_294_967_295 }).messageTtlMs, 4_294_967_295);
  assert.equal(refused({ "x-message-ttl": 4_294_967_296 }), "invalid arg 'x-message-ttl' {value_too_big,4294967296}");
  assert.equal(refused({ "x-expires": 0 }), "invalid arg 'x-expires' {value_zero,0}");
  assert.equal(refused({ "x-expires": 2n ** 63n - 1n }).slice(0, 43), "invalid arg 'x-expires' {value_too_big,9223");
});

test("a value of another type is refused by its name", () => {
  const values: [ArgumentValue, string][] = [
    ["7", "longstr"],
    [7.5, "double"],
    [true, "bool"],
    [null, "void"],
    [new Map(), "table"],
    [[], "array"],
    [new Uint8Array(1), "binary"],
  ];
  for (const [value, name] of values) {
    assert.equal(refused({ "x-max-length": value }), `invalid arg 'x-max-length' "expected integer, got ${name}"`);
  }
  assert.equal(
    refused({ "x-dead-letter-exchange": 7 }),
    "invalid arg 'x-dead-letter-exchange' {unacceptable_type,signedint}",
  );
});

test("a quorum queue is durable, shared and stays", () => {
  const quorum = settings({ "x-queue-type": "quorum" });
  const plain = { durable: true, autoDelete: false, exclusive: false };
  const wrong = (properties: typeof plain): string => {
    try {
      checkProperties(quorum, properties, TEXT);
    } catch (refusal) {
      return (refusal as Refusal).message;
    }
    return "";
  };
  assert.equal(wrong(plain), "");
  assert.equal(wrong({ ...plain, durable: false }), `invalid property 'non-durable' for ${TEXT}`);
  assert.equal(wrong({ ...plain, exclusive: true }), `invalid property 'exclusive-owner' for ${TEXT}`);
  assert.equal(wrong({ ...plain, autoDelete: true }), `invalid property 'auto-delete' for ${TEXT}`);
  checkProperties(settings({}), { durable: false, autoDelete: true, exclusive: true }, TEXT);
});

test("what only streams can do is refused by the name of the type", () => {
  for (const name of ["x-max-age", "x-stream-max-segment-size-bytes", "x-stream-filter-size-bytes"]) {
    for (const type of ["classic", "quorum"]) {
      assert.throws(() => settings({ "x-queue-type": type, [name]: 1 }), (refusal) => {
        const message = `invalid arg '${name}' for ${TEXT} of queue type rabbit_${type}_queue`;
        return refusal instanceof Refusal && refusal.message === message;
      });
    }
  }
});
