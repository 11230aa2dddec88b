import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { generate, type Packet, parser } from "mqtt-packet";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import {
  AckPacket,
  decodeConnect,
  decodeDisconnect,
  decodeSubscribe,
  decodeUnsubscribe,
  PublishPacket,
  readAck,
  readPublish,
} from "./mqtt_decode.ts";
import { publishFlags, writeAck, writeConnack, writeConnect, writePublish, writeSuback } from "./mqtt_encode.ts";
import { type MqttVersion, MqttViolation } from "./mqtt_packet.ts";
import { type MqttProperties, propertiesBytes, putProperties, readProperties } from "./mqtt_properties.ts";
import { MqttReader, type PacketSink } from "./mqtt_reader.ts";
import { isMqttText } from "./mqtt_text.ts";
import { MqttValues, variableBytes, writeVariable } from "./mqtt_values.ts";

/** Text that MQTT can hold: no lone surrogates, no U+0000. */
const text = fc.string({ unit: "grapheme", maxLength: 40 }).filter((value) => !value.includes("\0"));
const topic = fc.stringMatching(/^[a-zäß/ ]{1,30}$/);
const bytes = fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value));
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);
const version = fc.constantFrom(3 as const, 4 as const, 5 as const);
const id = fc.integer({ min: 1, max: 65_535 });

/** mqtt-packet's names of what a PUBLISH may have. */
const publishProperties = fc.record({
  payloadFormatIndicator: fc.boolean(),
  messageExpiryInterval: fc.nat(0xffff_ffff),
  contentType: text,
  responseTopic: topic,
  correlationData: bytes,
  userProperties: fc.dictionary(text.filter((name) => name !== "__proto__"), text, { minKeys: 1, maxKeys: 3 }),
}, { requiredKeys: [] });

function outOf(write: (out: OutBuffer) => void): Buffer {
  const out = new OutBuffer(new BufferPool());
  write(out);
  return Buffer.from(out.bytes.subarray(out.start, out.end));
}

interface Taken {
  first: number;
  body: Buffer;
}

/** The packets that a reader finds in octets cut at these places. */
function read(octets: Uint8Array, cuts: readonly number[] = []): Taken[] {
  const taken: Taken[] = [];
  const sink: PacketSink = {
    admits: () => true,
    packet(first, from, at, size) {
      taken.push({ first, body: Buffer.from(from.subarray(at, at + size)) });
      return true;
    },
  };
  const reader = new MqttReader(sink, 1_000_000);
  let from = 0;
  for (const cut of [...cuts, octets.length].map((place) => Math.min(place, octets.length)).sort((a, b) => a - b)) {
    reader.push(octets.slice(from, cut));
    from = cut;
  }
  return taken;
}

function one(packet: Record<string, unknown>, protocolVersion: MqttVersion): Taken {
  const taken = read(generate(packet as unknown as Packet, { protocolVersion }));
  assert.equal(taken.length, 1);
  return taken[0]!;
}

function parsed(octets: Uint8Array, protocolVersion: MqttVersion): Record<string, unknown> {
  const found: Packet[] = [];
  const other = parser({ protocolVersion });
  other.on("packet", (packet) => found.push(packet));
  other.on("error", (error) => {
    throw error;
  });
  other.parse(Buffer.from(octets));
  assert.equal(found.length, 1);
  return found[0] as unknown as Record<string, unknown>;
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? {}));

/** Our properties under mqtt-packet's names. */
function theirs({ userProperties, ...properties }: Readonly<MqttProperties>): Record<string, unknown> {
  const { payloadFormat, messageExpiry, ...rest } = properties;
  return {
    ...rest,
    ...(payloadFormat !== undefined && { payloadFormatIndicator: payloadFormat === 1 }),
    ...(messageExpiry !== undefined && { messageExpiryInterval: messageExpiry }),
    ...(rest.correlationData !== undefined && { correlationData: Buffer.from(rest.correlationData) }),
    ...(userProperties !== undefined && { userProperties: Object.fromEntries(userProperties) }),
  };
}

test("PUBLISH is read as mqtt-packet writes it, in any version", () => {
  fc.assert(
    fc.property(
      version,
      topic,
      bytes,
      qos,
      fc.boolean(),
      fc.boolean(),
      id,
      publishProperties,
      (level, name, payload, quality, retain, dup, messageId, properties) => {
        const packet = {
          cmd: "publish",
          topic: name,
          payload,
          qos: quality,
          retain,
          dup: dup && quality > 0,
          messageId,
        };
        const { first, body } = one(level === 5 ? { ...packet, properties } : packet, level);
        const read = new PublishPacket();
        readPublish(level, first, body, 0, body.length, read);
        assert.equal(body.toString("utf8", read.topicAt, read.topicAt + read.topicBytes), name);
        assert.ok(body.subarray(read.payloadAt, read.payloadAt + read.payloadBytes).equals(payload));
        assert.deepEqual([read.qos, read.retain, read.dup], [quality, retain, dup && quality > 0]);
        assert.equal(read.id, quality > 0 ? messageId : 0);
        if (level !== 5) return;
        const { userProperties, ...expected } = properties;
        const some = userProperties !== undefined && Object.keys(userProperties).length > 0;
        assert.deepEqual(plain(theirs(read.properties)), plain({ ...expected, ...(some && { userProperties }) }));
      },
    ),
  );
});

test("PUBLISH is written as mqtt-packet reads it", () => {
  fc.assert(
    fc.property(version, topic, bytes, qos, fc.boolean(), id, (level, name, payload, quality, retain, messageId) => {
      const flags = publishFlags(quality, retain, false);
      const octets = outOf((out) => writePublish(out, level, flags, Buffer.from(name), messageId, payload));
      const found = parsed(octets, level);
      assert.deepEqual([found.cmd, found.topic, found.qos, found.retain], ["publish", name, quality, retain]);
      assert.ok((found.payload as Buffer).equals(payload));
      if (quality > 0) assert.equal(found.messageId, messageId);
    }),
  );
});

test("acknowledgements are read and written as mqtt-packet does", () => {
  const types = [["puback", 4], ["pubrec", 5], ["pubrel", 6], ["pubcomp", 7]] as const;
  fc.assert(
    fc.property(
      version,
      fc.constantFrom(...types),
      id,
      fc.constantFrom(0, 0x80, 0x92),
      (level, [cmd, type], messageId, code) => {
        const reasonCode = cmd === "pubrel" || cmd === "pubcomp"
          ? (code === 0x80 ? 0 : code)
          : code === 0x92
          ? 0x97
          : code;
        const { first, body } = one({ cmd, messageId, ...(level === 5 && { reasonCode }) }, level);
        const ack = new AckPacket();
        readAck(level, first, body, 0, body.length, ack);
        assert.deepEqual([ack.id, ack.code], [messageId, level === 5 ? reasonCode : 0]);
        const found = parsed(outOf((out) => writeAck(out, level, type, messageId, reasonCode)), level);
        assert.deepEqual([found.cmd, found.messageId], [cmd, messageId]);
        if (level === 5) assert.equal(found.reasonCode ?? 0, reasonCode);
      },
    ),
  );
});

test("CONNECT is read as mqtt-packet writes it", () => {
  const will = fc.record({ topic, payload: bytes, qos, retain: fc.boolean() });
  fc.assert(
    fc.property(
      version,
      fc.stringMatching(/^[a-z0-9]{1,20}$/),
      fc.boolean(),
      fc.nat(65_535),
      fc.option(will),
      fc.option(text.filter((value) => value !== "")),
      bytes,
      (level, clientId, clean, keepalive, given, username, password) => {
        const packet = {
          cmd: "connect",
          protocolId: level === 3 ? "MQIsdp" : "MQTT",
          protocolVersion: level,
          clientId,
          clean,
          keepalive,
          ...(given && { will: given }),
          ...(username !== null && { username, password }),
          ...(level === 5 && { properties: { sessionExpiryInterval: 5, receiveMaximum: 9 } }),
        };
        const { first, body } = one(packet, level);
        assert.equal(first, 0x10);
        const read = decodeConnect(body, 0, body.length);
        assert.deepEqual([read.version, read.clientId, read.cleanStart, read.keepAlive], [
          level,
          clientId,
          clean,
          keepalive,
        ]);
        assert.equal(read.userName, username);
        if (username !== null) assert.ok(Buffer.from(read.password!).equals(password));
        assert.equal(read.will?.topic, given?.topic);
        if (given) assert.ok(Buffer.from(read.will!.payload).equals(given.payload));
        assert.deepEqual([read.will?.qos, read.will?.retain], [given?.qos, given?.retain]);
        if (level === 5) assert.deepEqual(read.properties, { sessionExpiry: 5, receiveMaximum: 9 });
      },
    ),
  );
});

test("SUBSCRIBE, UNSUBSCRIBE and DISCONNECT are read as mqtt-packet writes them", () => {
  const filters = fc.array(fc.stringMatching(/^[a-z+#/]{1,20}$/), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(version, id, filters, qos, fc.boolean(), (level, messageId, names, quality, flag) => {
      const subscriptions = names.map((name) => ({ topic: name, qos: quality, nl: flag, rap: !flag, rh: 1 }));
      const subscribe = one({ cmd: "subscribe", messageId, subscriptions }, level).body;
      const read = decodeSubscribe(level, subscribe, 0, subscribe.length);
      assert.equal(read.id, messageId);
      assert.deepEqual(
        read.subscriptions,
        names.map((filter) => ({
          filter,
          qos: quality,
          noLocal: level === 5 && flag,
          retainAsPublished: level === 5 && !flag,
          retainHandling: level === 5 ? 1 : 0,
        })),
      );
      const unsubscribe = one({ cmd: "unsubscribe", messageId, unsubscriptions: names }, level).body;
      assert.deepEqual(decodeUnsubscribe(level, unsubscribe, 0, unsubscribe.length), { id: messageId, filters: names });
    }),
  );
  const properties = { sessionExpiryInterval: 7, reasonString: "bye" };
  const { body } = one({ cmd: "disconnect", reasonCode: 4, properties }, 5);
  assert.deepEqual(decodeDisconnect(5, body, 0, body.length), {
    code: 4,
    properties: { sessionExpiry: 7, reasonString: "bye" },
  });
});

test("CONNECT, CONNACK and SUBACK are written as mqtt-packet reads them", () => {
  fc.assert(
    fc.property(version, fc.stringMatching(/^[a-z]{1,10}$/), fc.boolean(), id, (level, clientId, flag, messageId) => {
      const options = { version: level, clientId, cleanStart: flag, keepAlive: 9, userName: "u", password: "p" };
      const connect = parsed(outOf((out) => writeConnect(out, options)), level);
      assert.deepEqual([connect.clientId, connect.clean, connect.username], [clientId, flag, "u"]);
      const given = {
        receiveMaximum: 5,
        assignedClientId: clientId,
        userProperties: [["a", "b"]] as [string, string][],
      };
      const connack = parsed(outOf((out) => writeConnack(out, level, flag, 0, given)), level);
      assert.equal(connack.sessionPresent, flag);
      if (level === 5) {
        assert.deepEqual(plain(connack.properties), {
          receiveMaximum: 5,
          assignedClientIdentifier: clientId,
          userProperties: { a: "b" },
        });
      }
      const suback = parsed(outOf((out) => writeSuback(out, level, messageId, [0, 1, 2, 0x80])), level);
      assert.deepEqual([suback.messageId, suback.granted], [messageId, [0, 1, 2, 0x80]]);
    }),
  );
});

test("properties are read as they were written, user properties in order and as often as given", () => {
  const pairs = fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(pairs, fc.nat(0xffff_ffff), bytes, (userProperties, messageExpiry, correlationData) => {
      const properties: MqttProperties = {
        userProperties,
        messageExpiry,
        correlationData: new Uint8Array(correlationData),
      };
      const octets = new Uint8Array(outOf((out) => putProperties(out, properties)));
      assert.equal(octets.length, propertiesBytes(properties));
      const read = readProperties(new MqttValues().over(octets, 0, octets.length), 3);
      assert.deepEqual({ ...read }, properties);
    }),
  );
});

test("packets are found whole, octet by octet, and cut anywhere", () => {
  const packets = fc.array(fc.tuple(topic, fc.integer({ min: 0, max: 40_000 })), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(packets, fc.array(fc.nat(50_000), { maxLength: 8 }), (given, cuts) => {
      const all = Buffer.concat(
        given.map(([name, size]) =>
          generate({ cmd: "publish", topic: name, payload: Buffer.alloc(size, 7), qos: 0, retain: false, dup: false })
        ),
      );
      const whole = read(all);
      assert.equal(whole.length, given.length);
      assert.deepEqual(read(all, cuts), whole);
    }),
    { numRuns: 50 },
  );
  const some = generate({
    cmd: "publish",
    topic: "abc",
    payload: Buffer.alloc(300),
    qos: 0,
    retain: false,
    dup: false,
  });
  const two = Buffer.concat([some, some]);
  assert.deepEqual(read(two, [...two.keys()]), read(two));
});

test("a reader that is stopped goes on where it was, and holds what came meanwhile", () => {
  const octets = generate({ cmd: "publish", topic: "abc", payload: "x", qos: 0, retain: false, dup: false });
  let admitted = 0;
  let handled = 0;
  const reader = new MqttReader({
    admits: () => admitted-- > 0,
    packet: () => {
      handled++;
      return handled % 2 === 0;
    },
  }, 1000);
  reader.push(Buffer.concat([octets, octets.subarray(0, 3)]));
  reader.push(octets.subarray(3));
  assert.deepEqual([reader.stopped, handled], [true, 0]);
  for (let round = 0; round < 10 && reader.stopped; round++) {
    admitted = 1;
    reader.resume();
  }
  assert.equal(handled, 2);
  admitted = 99;
  reader.push(octets);
  reader.resume();
  reader.push(octets);
  assert.equal(handled, 4);
});

test("whatever octets come, a decoder says so by a violation", () => {
  const octets = fc.uint8Array({ maxLength: 60 });
  fc.assert(
    fc.property(version, fc.nat(255), octets, (level, first, body) => {
      const attempts = [
        () => decodeConnect(body, 0, body.length),
        () => readPublish(level, first, body, 0, body.length, new PublishPacket()),
        () => readAck(level, first, body, 0, body.length, new AckPacket()),
        () => decodeSubscribe(level, body, 0, body.length),
        () => decodeUnsubscribe(level, body, 0, body.length),
        () => decodeDisconnect(level, body, 0, body.length),
      ];
      for (const attempt of attempts) {
        try {
          attempt();
        } catch (error) {
          assert.ok(error instanceof MqttViolation, String(error));
        }
      }
    }),
    { numRuns: 2000 },
  );
});

test("text is checked as a strict decoder checks it, and U+0000 is none", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const check = (octets: Uint8Array) => {
    let expected = !octets.includes(0);
    try {
      decoder.decode(octets);
    } catch {
      expected = false;
    }
    assert.equal(isMqttText(octets, 0, octets.length), expected, String(octets));
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 8 }), check), { numRuns: 3000 });
  fc.assert(fc.property(fc.string({ unit: "binary" }), (value) => check(Buffer.from(value))));
  for (let first = 0x80; first < 0x100; first++) {
    for (const second of [0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0]) {
      check(Uint8Array.of(first, second, 0x80, 0x80));
    }
  }
});

test("variable byte integers have as many octets as they need", () => {
  for (const value of [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455]) {
    const octets = new Uint8Array(5);
    const end = writeVariable(octets, 0, value);
    assert.equal(end, variableBytes(value));
    assert.equal(new MqttValues().over(octets, 0, end).variable(), value);
  }
});
