// Packets that the broker sends, written into a connection's buffer, and those of clients that our own client needs.

import { copyBytes, type OutBuffer } from "../lib/out_buffer.ts";
import {
  CONNACK,
  CONNECT,
  DISCONNECT,
  type MqttVersion,
  PINGRESP,
  PUBLISH,
  type Qos,
  SUBACK,
  SUBSCRIBE,
  UNSUBACK,
} from "./mqtt_packet.ts";
import { type MqttProperties, NO_PROPERTIES, propertiesBytes, putProperties, textBytes } from "./mqtt_properties.ts";
import { putText, putUint16, putUint8, putVariable, variableBytes, writeVariable } from "./mqtt_values.ts";

/** `code` in the words of the version. */
export function writeConnack(
  out: OutBuffer,
  version: MqttVersion,
  sessionPresent: boolean,
  code: number,
  properties: Readonly<MqttProperties> = NO_PROPERTIES,
): void {
  putUint8(out, CONNACK << 4);
  putVariable(out, 2 + (version === 5 ? propertiesBytes(properties) : 0));
  putUint8(out, sessionPresent ? 1 : 0);
  putUint8(out, code);
  if (version === 5) putProperties(out, properties);
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP. A reason code other than 0 is told from MQTT 5 on. Hot. */
export function writeAck(out: OutBuffer, version: MqttVersion, type: number, id: number, code: number): void {
  const withCode = code !== 0 && version === 5;
  const at = out.reserve(withCode ? 5 : 4);
  const { bytes } = out;
  bytes[at] = type === 6 ? 0x62 : type << 4;
  bytes[at + 1] = withCode ? 3 : 2;
  bytes[at + 2] = id >>> 8;
  bytes[at + 3] = id;
  if (withCode) bytes[at + 4] = code;
}

export function writeSuback(out: OutBuffer, version: MqttVersion, id: number, codes: readonly number[]): void {
  putUint8(out, SUBACK << 4);
  putVariable(out, 2 + (version === 5 ? 1 : 0) + codes.length);
  putUint16(out, id);
  if (version === 5) putUint8(out, 0);
  for (const code of codes) putUint8(out, code);
}

export function writeUnsuback(out: OutBuffer, version: MqttVersion, id: number, codes: readonly number[]): void {
  putUint8(out, UNSUBACK << 4);
  putVariable(out, version === 5 ? 3 + codes.length : 2);
  putUint16(out, id);
  if (version < 5) return;
  putUint8(out, 0);
  for (const code of codes) putUint8(out, code);
}

export function writePingresp(out: OutBuffer): void {
  putUint8(out, PINGRESP << 4);
  putUint8(out, 0);
}

/** Of a server from MQTT 5 on. */
export function writeDisconnect(out: OutBuffer, code: number, properties: Readonly<MqttProperties>): void {
  putUint8(out, DISCONNECT << 4);
  putVariable(out, 1 + propertiesBytes(properties));
  putUint8(out, code);
  putProperties(out, properties);
}

/** DISCONNECT of a client that says no more than that it goes. */
export function writePlainDisconnect(out: OutBuffer): void {
  putUint8(out, DISCONNECT << 4);
  putUint8(out, 0);
}

/** What a PUBLISH is besides its topic and payload. */
export function publishFlags(qos: Qos, retain: boolean, dup: boolean): number {
  return PUBLISH << 4 | (dup ? 8 : 0) | qos << 1 | (retain ? 1 : 0);
}

/** Octets of a PUBLISH with a remaining length of so many. Hot. */
export function packetBytes(remaining: number): number {
  return 1 + variableBytes(remaining) + remaining;
}

/** Writes type, flags and remaining length. The room for all of the packet must be reserved. Hot. */
export function writeHead(bytes: Uint8Array, at: number, first: number, remaining: number): number {
  bytes[at++] = first;
  if (remaining < 0x80) {
    bytes[at++] = remaining;
    return at;
  }
  return writeVariable(bytes, at, remaining);
}

export interface ConnectOptions {
  readonly version: MqttVersion;
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** Seconds. */
  readonly keepAlive: number;
  readonly userName: string | null;
  readonly password: string | null;
  readonly properties?: Readonly<MqttProperties>;
}

/** CONNECT without a will. */
export function writeConnect(out: OutBuffer, options: ConnectOptions): void {
  const { version, clientId, cleanStart, keepAlive, userName, password, properties = NO_PROPERTIES } = options;
  const name = version === 3 ? "MQIsdp" : "MQTT";
  let size = 2 + name.length + 4 + 2 + textBytes(clientId);
  if (version === 5) size += propertiesBytes(properties);
  if (userName !== null) size += 2 + textBytes(userName);
  if (password !== null) size += 2 + textBytes(password);
  putUint8(out, CONNECT << 4);
  putVariable(out, size);
  putText(out, name);
  putUint8(out, version);
  putUint8(out, (cleanStart ? 2 : 0) | (userName === null ? 0 : 0x80) | (password === null ? 0 : 0x40));
  putUint16(out, keepAlive);
  if (version === 5) putProperties(out, properties);
  putText(out, clientId);
  if (userName !== null) putText(out, userName);
  if (password !== null) putText(out, password);
}

export function writeSubscribe(out: OutBuffer, version: MqttVersion, id: number, filter: string, qos: Qos): void {
  putUint8(out, SUBSCRIBE << 4 | 2);
  putVariable(out, 2 + (version === 5 ? 1 : 0) + 2 + textBytes(filter) + 1);
  putUint16(out, id);
  if (version === 5) putUint8(out, 0);
  putText(out, filter);
  putUint8(out, qos);
}

/** A PUBLISH without properties. Hot in the load generator. */
export function writePublish(
  out: OutBuffer,
  version: MqttVersion,
  flags: number,
  topic: Uint8Array,
  id: number,
  payload: Uint8Array,
): void {
  const qos = flags >>> 1 & 3;
  const remaining = 2 + topic.length + (qos > 0 ? 2 : 0) + (version === 5 ? 1 : 0) + payload.length;
  let at = out.reserve(packetBytes(remaining));
  const { bytes } = out;
  at = writeHead(bytes, at, flags, remaining);
  bytes[at++] = topic.length >>> 8;
  bytes[at++] = topic.length;
  copyBytes(topic, 0, bytes, at, topic.length);
  at += topic.length;
  if (qos > 0) {
    bytes[at++] = id >>> 8;
    bytes[at++] = id;
  }
  if (version === 5) bytes[at++] = 0;
  copyBytes(payload, 0, bytes, at, payload.length);
}
