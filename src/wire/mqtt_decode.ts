// Packets that clients send, decoded. PUBLISH and the acknowledgements fill an object that is used again and again; the
// others are few and are objects of their own. Everything throws an MqttViolation with the reason code to end with.

import {
  malformed,
  type MqttVersion,
  MqttViolation,
  PROTOCOL_ERROR,
  protocolError,
  PUBLISH,
  type Qos,
  SUBSCRIBE,
  UNSUBSCRIBE,
  UNSUPPORTED_PROTOCOL_VERSION,
} from "./mqtt_packet.ts";
import { CONNECT, DISCONNECT } from "./mqtt_packet.ts";
import { type MqttProperties, NO_PROPERTIES, readProperties, WILL } from "./mqtt_properties.ts";
import { isMqttText } from "./mqtt_text.ts";
import { MqttValues } from "./mqtt_values.ts";

export interface WillFields {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly properties: Readonly<MqttProperties>;
}

export interface ConnectPacket {
  readonly version: MqttVersion;
  readonly cleanStart: boolean;
  /** Seconds; 0 is off. */
  readonly keepAlive: number;
  readonly clientId: string;
  readonly will: WillFields | null;
  readonly userName: string | null;
  readonly password: Uint8Array | null;
  readonly properties: Readonly<MqttProperties>;
}

export interface Subscription {
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0: send retained messages; 1: only for a new subscription; 2: never. */
  readonly retainHandling: 0 | 1 | 2;
}

export interface SubscribePacket {
  readonly id: number;
  readonly subscriptions: readonly Subscription[];
  /** 0 for none. */
  readonly subscriptionId: number;
}

export interface UnsubscribePacket {
  readonly id: number;
  readonly filters: readonly string[];
}

export interface DisconnectPacket {
  readonly code: number;
  readonly properties: Readonly<MqttProperties>;
}

/** A PUBLISH: where topic and payload lie, valid as long as the packet. */
export class PublishPacket {
  dup = false;
  qos: Qos = 0;
  retain = false;
  bytes: Uint8Array = new Uint8Array(0);
  topicAt = 0;
  topicBytes = 0;
  /** 0 with QoS 0. */
  id = 0;
  properties: Readonly<MqttProperties> = NO_PROPERTIES;
  payloadAt = 0;
  payloadBytes = 0;
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP. */
export class AckPacket {
  id = 0;
  code = 0;
}

const values = new MqttValues();
const FLAG_USER_NAME = 0x80;
const FLAG_PASSWORD = 0x40;
const FLAG_WILL_RETAIN = 0x20;
const FLAG_WILL = 0x04;
const FLAG_CLEAN = 0x02;

/** The flags that packets other than PUBLISH must have in their first octet [MQTT-2.1.3-1]. */
export function checkFlags(first: number): void {
  const type = first >>> 4;
  const expected = type === 6 || type === 8 || type === 10 ? 2 : 0;
  if ((first & 0x0f) !== expected) throw malformed(`packet type ${type} with flags ${first & 0x0f}`);
}

/** CONNECT of any version. The reason code of the violation tells an unknown version from a broken packet. */
export function decodeConnect(bytes: Uint8Array, at: number, size: number): ConnectPacket {
  const reader = values.over(bytes, at, size);
  const name = reader.text();
  const level = reader.uint8();
  if (name !== "MQTT" && name !== "MQIsdp") throw unsupported(`protocol '${name.slice(0, 32)}'`);
  // The highest bit is a bridge's mark, as Mosquitto's set it.
  const version = level & 0x7f;
  const known = name === "MQIsdp" ? version === 3 : version === 4 || version === 5;
  if (!known) throw unsupported(`protocol level ${level} of ${name}`);
  const flags = reader.uint8();
  if ((flags & 1) !== 0) throw malformed("CONNECT with its reserved flag");
  const hasWill = (flags & FLAG_WILL) !== 0;
  const willQos = flags >>> 3 & 3;
  if (willQos === 3) throw malformed("a will with QoS 3");
  if (!hasWill && (willQos !== 0 || (flags & FLAG_WILL_RETAIN) !== 0)) throw malformed("will flags without a will");
  const hasPassword = (flags & FLAG_PASSWORD) !== 0;
  const hasUserName = (flags & FLAG_USER_NAME) !== 0;
  if (hasPassword && !hasUserName && version < 5) throw malformed("a password without a user name");
  const keepAlive = reader.uint16();
  const properties = version === 5 ? readProperties(reader, CONNECT) : NO_PROPERTIES;
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined) {
    throw protocolError("authentication data without a method");
  }
  const clientId = reader.text();
  const will = hasWill ? readWill(reader, version as MqttVersion, willQos as Qos, flags) : null;
  const userName = hasUserName ? reader.text() : null;
  const password = hasPassword ? reader.binary().slice() : null;
  reader.finish();
  return {
    version: version as MqttVersion,
    cleanStart: (flags & FLAG_CLEAN) !== 0,
    keepAlive,
    clientId,
    will,
    userName,
    password,
    properties,
  };
}

/** The version that a CONNECT names, so that a refusal can be told in its words; 4 when it cannot be made out. */
export function versionOf(bytes: Uint8Array, at: number, size: number): MqttVersion {
  if (size < 8) return 4;
  const nameBytes = bytes[at]! << 8 | bytes[at + 1]!;
  if (nameBytes !== 4) return nameBytes === 6 ? 3 : 4;
  return (bytes[at + 6]! & 0x7f) >= 5 ? 5 : 4;
}

function readWill(reader: MqttValues, version: MqttVersion, qos: Qos, flags: number): WillFields {
  const properties = version === 5 ? readProperties(reader, WILL) : NO_PROPERTIES;
  const topic = reader.text();
  const payload = reader.binary().slice();
  if (topic === "" || /[+#]/.test(topic)) throw malformed("a will whose topic is no topic name");
  if (properties.payloadFormat === 1 && !isMqttText(payload, 0, payload.length)) {
    throw malformed("a will that is not the UTF-8 it is said to be");
  }
  return { topic, payload, qos, retain: (flags & FLAG_WILL_RETAIN) !== 0, properties };
}

function unsupported(what: string): MqttViolation {
  return new MqttViolation(UNSUPPORTED_PROTOCOL_VERSION, `${what} is not known`);
}

/** Whether topic and alias make sense together is the receiver's to say. Hot. */
export function readPublish(
  version: MqttVersion,
  first: number,
  bytes: Uint8Array,
  at: number,
  size: number,
  packet: PublishPacket,
): void {
  const end = at + size;
  const qos = first >>> 1 & 3;
  packet.bytes = bytes;
  packet.qos = qos as Qos;
  packet.dup = (first & 8) !== 0;
  packet.retain = (first & 1) !== 0;
  packet.properties = NO_PROPERTIES;
  packet.id = 0;
  if (qos === 3) throw malformed("a PUBLISH with QoS 3");
  if (qos === 0 && packet.dup) throw malformed("a PUBLISH with QoS 0 and the DUP flag");
  if (size < 2) throw malformed("a PUBLISH that is cut");
  const topicBytes = bytes[at]! << 8 | bytes[at + 1]!;
  packet.topicAt = at + 2;
  packet.topicBytes = topicBytes;
  at += 2 + topicBytes;
  if (qos > 0) {
    if (at + 2 > end) throw malformed("a PUBLISH that is cut");
    packet.id = bytes[at]! << 8 | bytes[at + 1]!;
    if (packet.id === 0) throw protocolError("a PUBLISH with packet identifier 0");
    at += 2;
  }
  if (version === 5) {
    if (at < end && bytes[at] === 0) {
      at++;
    } else {
      if (at > end) throw malformed("a PUBLISH that is cut");
      const reader = values.over(bytes, at, end - at);
      packet.properties = readProperties(reader, PUBLISH);
      at = reader.at;
    }
  }
  if (at > end) throw malformed("a PUBLISH that is cut");
  packet.payloadAt = at;
  packet.payloadBytes = end - at;
}

/** PUBACK, PUBREC, PUBREL, PUBCOMP. Hot. */
export function readAck(
  version: MqttVersion,
  first: number,
  bytes: Uint8Array,
  at: number,
  size: number,
  packet: AckPacket,
): void {
  checkFlags(first);
  if (size < 2) throw malformed("an acknowledgement that is cut");
  packet.id = bytes[at]! << 8 | bytes[at + 1]!;
  if (packet.id === 0) throw protocolError("an acknowledgement of packet identifier 0");
  packet.code = 0;
  if (size === 2) return;
  if (version < 5) throw malformed("an acknowledgement with octets too many");
  packet.code = bytes[at + 2]!;
  if (size === 3) return;
  const reader = values.over(bytes, at + 3, size - 3);
  readProperties(reader, first >>> 4);
  reader.finish();
}

export function decodeSubscribe(version: MqttVersion, bytes: Uint8Array, at: number, size: number): SubscribePacket {
  const reader = values.over(bytes, at, size);
  const id = packetId(reader);
  const properties = version === 5 ? readProperties(reader, SUBSCRIBE) : NO_PROPERTIES;
  const subscriptions: Subscription[] = [];
  while (reader.left > 0) {
    const filter = reader.text();
    const options = reader.uint8();
    const qos = options & 3;
    if (qos === 3) throw malformed("a subscription with QoS 3");
    const retainHandling = options >>> 4 & 3;
    if ((options & 0xc0) !== 0 || (version < 5 && options > 2)) throw malformed("a subscription with reserved bits");
    if (retainHandling === 3) throw malformed("a subscription with retain handling 3");
    const noLocal = (options & 4) !== 0;
    if (noLocal && filter.startsWith("$share/")) throw protocolError("a shared subscription with no-local");
    subscriptions.push({
      filter,
      qos: qos as Qos,
      noLocal,
      retainAsPublished: (options & 8) !== 0,
      retainHandling: retainHandling as 0 | 1 | 2,
    });
  }
  if (subscriptions.length === 0) throw protocolError("a SUBSCRIBE without a topic filter");
  return { id, subscriptions, subscriptionId: properties.subscriptionIds?.[0] ?? 0 };
}

export function decodeUnsubscribe(
  version: MqttVersion,
  bytes: Uint8Array,
  at: number,
  size: number,
): UnsubscribePacket {
  const reader = values.over(bytes, at, size);
  const id = packetId(reader);
  if (version === 5) readProperties(reader, UNSUBSCRIBE);
  const filters: string[] = [];
  while (reader.left > 0) filters.push(reader.text());
  if (filters.length === 0) throw protocolError("an UNSUBSCRIBE without a topic filter");
  return { id, filters };
}

export function decodeDisconnect(version: MqttVersion, bytes: Uint8Array, at: number, size: number): DisconnectPacket {
  if (version < 5 && size > 0) throw malformed("a DISCONNECT with octets too many");
  if (size === 0) return { code: 0, properties: NO_PROPERTIES };
  const reader = values.over(bytes, at, size);
  const code = reader.uint8();
  if (size === 1) return { code, properties: NO_PROPERTIES };
  const properties = readProperties(reader, DISCONNECT);
  reader.finish();
  if (properties.serverReference !== undefined) throw protocolError("a DISCONNECT of a client with a server reference");
  return { code, properties };
}

function packetId(reader: MqttValues): number {
  const id = reader.uint16();
  if (id === 0) throw new MqttViolation(PROTOCOL_ERROR, "packet identifier 0");
  return id;
}
