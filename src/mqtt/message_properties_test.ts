import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Message } from "../store/message.ts";
import type { MqttProperties } from "../wire/mqtt_properties.ts";
import { MESSAGE_MQTT, MESSAGE_UTF8 } from "./message_flags.ts";
import { hasProperties, headerOf, propertiesOf } from "./message_properties.ts";
import { TopicMapping } from "./topics.ts";

/** What MQTT can hold, names of ours and of AMQP's among it. */
const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 300 }).filter((value) => !value.includes("\0")),
  fc.constantFrom("", "\ufeffbegins", "x-reply-to-topic", "x-mqtt-user-properties", "CC", "__proto__", "l".repeat(256)),
);
const topic = fc.stringMatching(/^[a-z./*]{1,20}$/);

const properties = fc.record({
  contentType: text,
  responseTopic: topic,
  correlationData: fc.uint8Array({ maxLength: 400 }),
  messageExpiry: fc.nat(4_000_000),
  payloadFormat: fc.constant(1),
  userProperties: fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 5 }),
}, { requiredKeys: [] });

function messageWith(given: MqttProperties, mapping: TopicMapping): Message {
  const message = new Message();
  message.header = headerOf(given, 0, true, mapping);
  message.headerAt = 0;
  message.headerBytes = message.header.length;
  message.timestampMs = 5000;
  message.flags = MESSAGE_MQTT | (given.payloadFormat === 1 ? MESSAGE_UTF8 : 0);
  return message;
}

for (const name of ["rabbitmq", "exact"] as const) {
  test(`properties come back unaltered, in their order: mapping ${name} [MQTT-3.3.2-17, MQTT-3.3.2-18]`, () => {
    const mapping = new TopicMapping(name);
    fc.assert(fc.property(properties, (given) => {
      const message = messageWith(given, mapping);
      const { correlationData, ...rest } = propertiesOf(message, mapping, 5000);
      const { correlationData: expected, ...others } = given;
      assert.deepEqual(rest, others);
      assert.deepEqual(correlationData && [...correlationData], expected && [...expected]);
      assert.equal(hasProperties(message), Object.keys(given).length > 0);
    }));
  });
}

test("of a message's time what is left is told, in whole seconds, and nothing below 0 [MQTT-3.3.2-6]", () => {
  const mapping = new TopicMapping("rabbitmq");
  const message = messageWith({ messageExpiry: 10 }, mapping);
  for (
    const [afterMs, left] of [[0, 10], [1, 10], [999, 10], [1000, 9], [9999, 1], [10_000, 0], [60_000, 0]] as const
  ) {
    assert.equal(propertiesOf(message, mapping, 5000 + afterMs).messageExpiry, left);
  }
});
