// Target `packets`: MqttReader finds the packets of a stream however it is cut and wherever its sink stops, and the decoders
// take from each what a grammar of its own takes, in all three versions; what is no packet is a violation with a code that
// says so. Properties are written as they were read.
//
// Input: an octet for the version and the largest packet, an octet for the cuts, then the stream.

import assert from "node:assert/strict";
import { BufferPool, OutBuffer } from "../../../src/lib/out_buffer.ts";
import {
  AckPacket,
  checkFlags,
  decodeConnect,
  decodeDisconnect,
  decodeSubscribe,
  decodeUnsubscribe,
  PublishPacket,
  readAck,
  readPublish,
} from "../../../src/wire/mqtt_decode.ts";
import { MALFORMED_PACKET, MqttViolation, PACKET_TOO_LARGE, PROTOCOL_ERROR } from "../../../src/wire/mqtt_packet.ts";
import {
  type MqttProperties,
  propertiesBytes,
  putProperties,
  readProperties,
} from "../../../src/wire/mqtt_properties.ts";
import { MqttReader } from "../../../src/wire/mqtt_reader.ts";
import { MqttValues } from "../../../src/wire/mqtt_values.ts";
import type { FuzzTarget } from "../fuzz_target.ts";
import { joined, mutate } from "../mutate.ts";
import { FuzzRandom } from "../random.ts";
import { Bad, framed, nameOf, type Packet, packetOf, type Version } from "./grammar.ts";
import { Speaker, spoil } from "./speech.ts";

const OPTIONS_BYTES = 2;
const PACKET_MAX: readonly number[] = [64, 300, 100_000];
const BROKEN: readonly number[] = [MALFORMED_PACKET, PROTOCOL_ERROR];
/** Of a CONNECT of a version that we do not have. */
const UNSUPPORTED = 0x84;
const PUBLISH = 3;

export const packets: FuzzTarget = {
  name: "packets",
  form: "hex",
  share: 3,

  make(random, corpus) {
    if (corpus.length > 0 && random.oneIn(4)) return mutate(random.pick(corpus), random, corpus);
    const options = random.bytes(OPTIONS_BYTES);
    const speaker = new Speaker(random, versionOf(options[0]!));
    let list = speaker.packets(random.between(1, 8));
    if (random.oneIn(4)) list.push(speaker.connect());
    if (random.oneIn(2)) list = spoil(list, random);
    const input = joined(options, ...list);
    return random.oneIn(4) ? mutate(input, random, corpus) : input;
  },

  check(input) {
    const [option = 0, cuts = 0] = input;
    const version = versionOf(option);
    const packetBytesMax = PACKET_MAX[Math.floor(option / 3) % PACKET_MAX.length]!;
    const stream = input.subarray(OPTIONS_BYTES);
    const expected = expect(stream, packetBytesMax);
    compare(read(stream, packetBytesMax, [stream.length], 0), expected, "in one piece");
    compare(read(stream, packetBytesMax, [1], 0), expected, "octet by octet");
    const random = new FuzzRandom(cuts * 256 + option);
    const sizes = Array.from({ length: 8 }, () => 1 + random.size(90));
    compare(read(stream, packetBytesMax, sizes, random.between(1, 3)), expected, `in pieces of ${sizes}`);
    for (const { first, body } of framed(stream, packetBytesMax).packets) compareContent(version, first, body);
  },

  pieces: (input) => {
    const { packets, rest } = framed(input.subarray(OPTIONS_BYTES), Infinity);
    return [input.subarray(0, OPTIONS_BYTES), ...packets.map(({ octets }) => octets), rest];
  },
};

function versionOf(option: number): Version {
  return (option % 3 + 3) as Version;
}

interface Found {
  readonly packets: string[];
  readonly code: number;
}

function expect(stream: Uint8Array, packetBytesMax: number): Found {
  const { packets, broken } = framed(stream, packetBytesMax);
  const code = broken === "" ? 0 : broken === "size" ? PACKET_TOO_LARGE : MALFORMED_PACKET;
  return { packets: packets.map(({ first, body }) => describe(first, body)), code };
}

/** What the reader finds; with `stopEvery` its sink stops behind every so many packets, and now and then before one. */
function read(stream: Uint8Array, packetBytesMax: number, sizes: readonly number[], stopEvery: number): Found {
  const found: string[] = [];
  let asked = 0;
  let code = 0;
  const reader = new MqttReader({
    admits: () => stopEvery === 0 || ++asked % (stopEvery + 2) !== 0,
    packet(first, bytes, at, size) {
      found.push(describe(first, bytes.subarray(at, at + size)));
      return stopEvery === 0 || found.length % stopEvery !== 0;
    },
  }, packetBytesMax);
  const step = (run: () => void): void => {
    try {
      run();
    } catch (error) {
      if (!(error instanceof MqttViolation)) throw error;
      code = error.code;
    }
  };
  for (let at = 0, index = 0; at < stream.length && code === 0; index++) {
    const chunk = stream.slice(at, at + sizes[index % sizes.length]!);
    at += chunk.length;
    step(() => reader.push(chunk));
    chunk.fill(0xdb);
    // Now and then it goes on only when more has come.
    while (code === 0 && reader.stopped && (index % 3 !== 0 || at >= stream.length)) step(() => reader.resume());
  }
  return { packets: found, code };
}

function compare(found: Found, expected: Found, how: string): void {
  assert.deepEqual(found, expected, `read ${how}, packets and error are the same`);
}

function describe(first: number, body: Uint8Array): string {
  let sum = 0;
  for (const octet of body) sum = (Math.imul(sum, 31) + octet) | 0;
  return `${first} ${body.length} ${sum}`;
}

/** What the grammar says of a packet, and what our decoder does. */
function compareContent(version: Version, first: number, body: Uint8Array): void {
  let expected: Packet | Bad;
  try {
    expected = packetOf(version, first, body);
  } catch (error) {
    if (!(error instanceof Bad)) throw error;
    expected = error;
  }
  let found: Packet | MqttViolation;
  try {
    // Not at the beginning of its memory, and something stands behind it.
    const around = joined(Uint8Array.of(0xff, 0xff, 0xff), body, Uint8Array.of(0xff, 0xff));
    found = decode(version, first, around, 3, body.length);
  } catch (error) {
    if (!(error instanceof MqttViolation)) throw error;
    found = error;
  }
  if (expected instanceof Bad || found instanceof MqttViolation) {
    const said = found instanceof MqttViolation ? found.message : "taken";
    assert.ok(expected instanceof Bad && found instanceof MqttViolation, `${nameOf(first)}: ${expected}, ${said}`);
    assert.ok(BROKEN.includes(found.code) || found.code === UNSUPPORTED, `${nameOf(first)}: code ${found.code}`);
    return;
  }
  assert.deepEqual(found, expected, nameOf(first));
}

/** Decoded, in the grammar's words. */
function decode(version: Version, first: number, bytes: Uint8Array, at: number, size: number): Packet {
  if (first >> 4 === PUBLISH) {
    const packet = new PublishPacket();
    readPublish(version, first, bytes, at, size, packet);
    const { dup, qos, retain, id, topicAt, topicBytes, payloadAt, payloadBytes } = packet;
    const topic = [...bytes.subarray(topicAt, topicAt + topicBytes)];
    const payload = [...bytes.subarray(payloadAt, payloadAt + payloadBytes)];
    return { dup, qos, retain, topic, id, properties: plain(packet.properties, PUBLISH), payload };
  }
  checkFlags(first);
  switch (nameOf(first)) {
    case "CONNECT": {
      const { will, password, properties, ...rest } = decodeConnect(bytes, at, size);
      const own = will && { ...will, payload: [...will.payload], properties: plain(will.properties, 0) };
      return { ...rest, will: own, password: password && [...password], properties: plain(properties, 1) };
    }
    case "PUBACK":
    case "PUBREC":
    case "PUBREL":
    case "PUBCOMP": {
      const ack = new AckPacket();
      readAck(version, first, bytes, at, size, ack);
      return { id: ack.id, code: ack.code };
    }
    case "SUBSCRIBE":
      return { ...decodeSubscribe(version, bytes, at, size) };
    case "UNSUBSCRIBE":
      return { ...decodeUnsubscribe(version, bytes, at, size) };
    case "PINGREQ":
      if (size > 0) throw new MqttViolation(PROTOCOL_ERROR, "");
      return {};
    case "DISCONNECT": {
      const { code, properties } = decodeDisconnect(version, bytes, at, size);
      return { code, properties: plain(properties, 14) };
    }
    default:
      throw new MqttViolation(PROTOCOL_ERROR, "");
  }
}

/** Properties in plain objects, written and read once more on the way. */
function plain(properties: Readonly<MqttProperties>, packet: number): Packet {
  const out = new OutBuffer(POOL);
  putProperties(out, properties);
  const octets = out.bytes.slice(out.start, out.end);
  assert.equal(octets.length, propertiesBytes(properties), "properties are as long as is said");
  const again = readProperties(new MqttValues().over(octets, 0, octets.length), packet);
  assert.deepEqual(again, properties, "properties are read as they were written");
  out.clear();
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [name, value instanceof Uint8Array ? [...value] : value]),
  );
}

const POOL = new BufferPool();
