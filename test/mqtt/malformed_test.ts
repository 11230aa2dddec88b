// Packets that break the rules end their connection, with the right reason where MQTT 5 tells one, and nothing else.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MqttBroker } from "../support/mqtt_broker.ts";
import { bytesOf, type Version } from "../support/raw_mqtt.ts";

const broker = new MqttBroker();
after(() => broker.stop());

const text = (value: string): number[] => {
  const bytes = Buffer.from(value);
  return [bytes.length >>> 8, bytes.length & 255, ...bytes];
};
const packet = (first: number, ...rest: number[]): number[] => [first, rest.length, ...rest];

const MALFORMED = 0x81;
const PROTOCOL = 0x82;

type Case = readonly [what: string, octets: number[], code: number];

/** After CONNECT. `none` is what MQTT 5 says where there are no properties, and the versions before it do not. */
const both = (...none: number[]): Case[] => [
  ["packet type 0", packet(0x00), PROTOCOL],
  ["CONNACK from a client", packet(0x20, 0, 0), PROTOCOL],
  ["SUBACK from a client", packet(0x90, 0, 1, 0), PROTOCOL],
  ["PINGRESP from a client", packet(0xd0), PROTOCOL],
  ["PINGREQ with flags", packet(0xc1), MALFORMED],
  ["PINGREQ with octets", packet(0xc0, 1), PROTOCOL],
  ["a remaining length of five octets", [0x30, 0x80, 0x80, 0x80, 0x80, 0x01], MALFORMED],
  ["PUBLISH with QoS 3", packet(0x36, ...text("a"), 0, 1, ...none), MALFORMED],
  ["PUBLISH with QoS 0 and DUP", packet(0x38, ...text("a"), ...none), MALFORMED],
  ["PUBLISH with QoS 1 and identifier 0", packet(0x32, ...text("a"), 0, 0, ...none), PROTOCOL],
  ["PUBLISH whose topic reaches over its end", packet(0x30, 0, 9, 0x61), MALFORMED],
  ["PUBLISH without anything", packet(0x30), MALFORMED],
  ["PUBLISH with QoS 1 and no identifier", packet(0x32, ...text("a")), MALFORMED],
  ["PUBLISH to a name with +", packet(0x30, ...text("a/+"), ...none), 0x90],
  ["PUBLISH to a name with #", packet(0x30, ...text("#"), ...none), 0x90],
  ["PUBLISH to a name with U+0000", packet(0x30, 0, 2, 0x61, 0x00, ...none), MALFORMED],
  ["PUBLISH to a name that is no UTF-8", packet(0x30, 0, 2, 0xc3, 0x28, ...none), MALFORMED],
  ["PUBLISH to a name with a surrogate", packet(0x30, 0, 3, 0xed, 0xa0, 0x80, ...none), MALFORMED],
  ["PUBLISH to a name with an overlong character", packet(0x30, 0, 2, 0xc0, 0xaf, ...none), MALFORMED],
  ["PUBACK with flags", packet(0x41, 0, 1), MALFORMED],
  ["PUBREC with flags", packet(0x51, 0, 1), MALFORMED],
  ["PUBREL without its flags", packet(0x60, 0, 1), MALFORMED],
  ["PUBCOMP with flags", packet(0x71, 0, 1), MALFORMED],
  ["PUBACK of identifier 0", packet(0x40, 0, 0), PROTOCOL],
  ["PUBACK that is cut", packet(0x40, 0), MALFORMED],
  ["SUBSCRIBE without its flags", packet(0x80, 0, 1, ...none, ...text("a"), 0), MALFORMED],
  ["SUBSCRIBE with identifier 0", packet(0x82, 0, 0, ...none, ...text("a"), 0), PROTOCOL],
  ["SUBSCRIBE with a cut filter", packet(0x82, 0, 1, ...none, 0, 9, 0x61), MALFORMED],
  ["SUBSCRIBE without a filter", packet(0x82, 0, 1, ...none), PROTOCOL],
  ["SUBSCRIBE to a filter that is no UTF-8", packet(0x82, 0, 1, ...none, 0, 2, 0xc3, 0x28, 0), MALFORMED],
  ["SUBSCRIBE to a filter with U+0000", packet(0x82, 0, 1, ...none, 0, 2, 0x61, 0x00, 0), MALFORMED],
  ["SUBSCRIBE with QoS 3", packet(0x82, 0, 1, ...none, ...text("a"), 3), MALFORMED],
  ["SUBSCRIBE with reserved bits", packet(0x82, 0, 1, ...none, ...text("a"), 0x40), MALFORMED],
  ["UNSUBSCRIBE without its flags", packet(0xa0, 0, 1, ...none, ...text("a")), MALFORMED],
  ["UNSUBSCRIBE with identifier 0", packet(0xa2, 0, 0, ...none, ...text("a")), PROTOCOL],
  ["UNSUBSCRIBE without a filter", packet(0xa2, 0, 1, ...none), PROTOCOL],
  ["UNSUBSCRIBE of a filter that is no UTF-8", packet(0xa2, 0, 1, ...none, 0, 2, 0xc3, 0x28), MALFORMED],
  ["DISCONNECT with flags", packet(0xe1), MALFORMED],
];

const FOUR: readonly Case[] = [
  ["SUBSCRIBE with an option of MQTT 5", packet(0x82, 0, 1, ...text("a"), 4), MALFORMED],
  ["PUBACK with a reason code", packet(0x40, 0, 1, 0), MALFORMED],
  ["DISCONNECT with a reason code", packet(0xe0, 0), MALFORMED],
];

const FIVE: readonly Case[] = [
  ["AUTH without enhanced authentication", packet(0xf0), PROTOCOL],
  ["AUTH with flags", packet(0xf1), MALFORMED],
  ["SUBSCRIBE with retain handling 3", packet(0x82, 0, 1, 0, ...text("a"), 0x30), MALFORMED],
  ["SUBSCRIBE with subscription identifier 0", packet(0x82, 0, 1, 2, 0x0b, 0, ...text("a"), 0), PROTOCOL],
  ["SUBSCRIBE with two subscription identifiers", packet(0x82, 0, 1, 4, 0x0b, 1, 0x0b, 2, ...text("a"), 0), PROTOCOL],
  ["PUBLISH with a subscription identifier", packet(0x30, ...text("a"), 2, 0x0b, 1), PROTOCOL],
  ["PUBLISH with an unknown property", packet(0x30, ...text("a"), 2, 0x7f, 1), MALFORMED],
  ["PUBLISH with a property of CONNECT", packet(0x30, ...text("a"), 5, 0x11, 0, 0, 0, 1), MALFORMED],
  ["PUBLISH with a property twice", packet(0x30, ...text("a"), 4, 0x01, 0, 0x01, 0), PROTOCOL],
  ["PUBLISH with payload format 2", packet(0x30, ...text("a"), 2, 0x01, 2), PROTOCOL],
  ["PUBLISH whose properties reach over its end", packet(0x30, ...text("a"), 9, 0x01, 0), MALFORMED],
  ["PUBLISH with a cut property", packet(0x30, ...text("a"), 3, 0x02, 0, 0), MALFORMED],
  ["PUBLISH with a response topic with wildcards", packet(0x30, ...text("a"), 4, 0x08, 0, 1, 0x23), PROTOCOL],
  ["PUBLISH with a response topic that is no UTF-8", packet(0x30, ...text("a"), 4, 0x08, 0, 1, 0xff), MALFORMED],
  ["PUBLISH with a content type that is no UTF-8", packet(0x30, ...text("a"), 4, 0x03, 0, 1, 0xff), MALFORMED],
  ["PUBLISH with a user property's name that is no UTF-8", pairOf([0xff], [0x61]), MALFORMED],
  ["PUBLISH with a user property's value that is no UTF-8", pairOf([0x61], [0xff]), MALFORMED],
  ["PUBLISH with a user property with U+0000", pairOf([0x61], [0x00]), MALFORMED],
  ["PUBLISH with a property length of octets too many", packet(0x30, ...text("a"), 0x80, 0x00), MALFORMED],
  ["DISCONNECT with a server reference", packet(0xe0, 0, 4, 0x1c, 0, 1, 0x61), PROTOCOL],
];

/** A PUBLISH with a user property. */
function pairOf(name: readonly number[], value: readonly number[]): number[] {
  const pair = [0x26, 0, name.length, ...name, 0, value.length, ...value];
  return packet(0x30, ...text("a"), pair.length, ...pair);
}

for (const [version, cases] of [[4, [...both(), ...FOUR]], [5, [...both(0), ...FIVE]]] as const) {
  test(`level ${version}: every malformed packet ends its connection, and no other [MQTT-4.13.1-1]`, async () => {
    const witness = await broker.open({ version });
    await witness.subscribe("witness", 1);
    for (const [what, octets, code] of cases) {
      const client = await broker.open({ version });
      client.sendBytes(Buffer.from(octets));
      try {
        await client.expectEnd(code);
      } catch (error) {
        throw new Error(`${what}: ${(error as Error).message}`);
      }
    }
    witness.publish("witness", "fine", { qos: 1 });
    await witness.take(2);
  });
}

test("CONNECT that breaks the rules is refused before anything is kept [MQTT-3.1.2-3, MQTT-3.1.4-1]", async () => {
  const connect = (level: number, flags: number, ...rest: number[]): number[] =>
    packet(0x10, ...text("MQTT"), level, flags, 0, 0, ...rest);
  const cases: readonly (readonly [string, number[]])[] = [
    ["flags in the fixed header", [0x11, ...connect(4, 2, ...text("a")).slice(1)]],
    ["the reserved flag", connect(4, 3, ...text("a"))],
    ["a will's QoS without a will", connect(4, 0x0a, ...text("a"))],
    ["a will's retain without a will", connect(4, 0x22, ...text("a"))],
    ["a will with QoS 3", connect(4, 0x1e, ...text("a"), ...text("t"), ...text("m"))],
    ["a password without a name", connect(4, 0x42, ...text("a"), ...text("p"))],
    ["a missing user name", connect(4, 0x82, ...text("a"))],
    ["a missing password", connect(4, 0xc2, ...text("a"), ...text("guest"))],
    ["a user name without its flag", connect(4, 2, ...text("a"), ...text("guest"))],
    ["a password without its flag", connect(4, 0x82, ...text("a"), ...text("guest"), ...text("guest"))],
    ["octets too many", connect(4, 2, ...text("a"), 1)],
    ["a client identifier that is no UTF-8", connect(4, 2, 0, 1, 0xff)],
    ["a user name that is no UTF-8", connect(4, 0x82, ...text("a"), 0, 1, 0xff)],
    ["a missing will", connect(4, 6, ...text("a"))],
    ["a will without its flag", connect(4, 2, ...text("a"), ...text("t"), ...text("m"))],
    ["a will's topic that is no UTF-8", connect(4, 6, ...text("a"), 0, 1, 0xff, ...text("m"))],
    ["a will's topic with wildcards", connect(4, 6, ...text("a"), ...text("t/#"), ...text("m"))],
    ["a cut name", packet(0x10, 0, 4, 0x4d)],
    ["nothing", packet(0x10)],
  ];
  for (const [what, octets] of cases) {
    const client = await broker.connect();
    client.sendBytes(Buffer.from(octets));
    await client.expectEnd().catch((error) => assert.fail(`${what}: ${error.message}`));
  }
  const properties: readonly (readonly [string, number[], number])[] = [
    ["receive maximum 0", [3, 0x21, 0, 0], PROTOCOL],
    ["maximum packet size 0", [5, 0x27, 0, 0, 0, 0], PROTOCOL],
    ["authentication data without a method", [4, 0x16, 0, 1, 1], PROTOCOL],
    ["a property twice", [10, 0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1], PROTOCOL],
    ["a property of PUBLISH", [3, 0x23, 0, 1], MALFORMED],
  ];
  for (const [what, octets, code] of properties) {
    const client = await broker.connect(5);
    client.sendBytes(Buffer.from(connect(5, 2, ...octets, ...text("a"))));
    assert.equal((await client.next("connack")).reasonCode, code, what);
    await client.expectEnd();
  }
});

test("before CONNECT no more than 64 KiB are taken, whatever is announced", async () => {
  const client = await broker.connect();
  client.sendBytes(0x10, 0xff, 0xff, 0xff, 0x7f);
  await client.expectEnd();
  const big = await broker.connect();
  const will = { topic: "t", payload: Buffer.alloc(65_000), qos: 0, retain: false };
  const octets = bytesOf({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clientId: "c".repeat(600),
    clean: true,
    keepalive: 0,
    will,
  }, 4);
  assert.ok(octets.length > 64 * 1024);
  big.sendBytes(octets);
  await big.expectEnd();
});

test("whoever does not send CONNECT in ten seconds is cut off, however busily he sends", async () => {
  const slow = await broker.connect();
  const start = performance.now();
  const octets = bytesOf({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clientId: "slow".repeat(6),
    clean: true,
    keepalive: 0,
  }, 4);
  // Long enough for three times the deadline.
  let at = 0;
  const sending = setInterval(() => slow.sendBytes(octets[at++]!), 800);
  await slow.closed;
  clearInterval(sending);
  assert.ok(at < octets.length);
  assert.ok(performance.now() - start >= 9_500);
});

test("random octets end their connection, and the broker goes on", async () => {
  let seed = 12345;
  const random = () => (seed = Math.imul(seed, 1103515245) + 12345 >>> 0) / 2 ** 32;
  for (let round = 0; round < 150; round++) {
    const version = ([4, 5] as Version[])[round % 2]!;
    const client = round % 3 === 0 ? await broker.connect() : await broker.open({ version });
    const octets = Buffer.from(Array.from({ length: 1 + Math.floor(random() * 60) }, () => Math.floor(random() * 256)));
    client.sendBytes(octets);
    client.socket.end();
    await client.closed;
  }
  await (await broker.open()).expectSilence();
});
