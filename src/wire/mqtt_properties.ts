// The properties of MQTT 5 packets (2.2.2): one table says what each is, in which packets it may stand, and how often.

import type { OutBuffer } from "../lib/out_buffer.ts";
import {
  AUTH,
  CONNACK,
  CONNECT,
  DISCONNECT,
  malformed,
  protocolError,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBACK,
  SUBSCRIBE,
  UNSUBACK,
} from "./mqtt_packet.ts";
import { putBinary, putText, putUint16, putUint32, putUint8, putVariable, variableBytes } from "./mqtt_values.ts";
import type { MqttValues } from "./mqtt_values.ts";

/** What is not there is not set. */
export interface MqttProperties {
  payloadFormat?: number;
  /** Seconds. */
  messageExpiry?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  subscriptionIds?: number[];
  /** Seconds; 0xFFFFFFFF never ends. */
  sessionExpiry?: number;
  assignedClientId?: string;
  /** Seconds. */
  serverKeepAlive?: number;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
  requestProblemInformation?: number;
  /** Seconds. */
  willDelay?: number;
  requestResponseInformation?: number;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQos?: number;
  retainAvailable?: number;
  /** In order; a name may come again. */
  userProperties?: [name: string, value: string][];
  maximumPacketSize?: number;
  wildcardsAvailable?: number;
  subscriptionIdsAvailable?: number;
  sharedAvailable?: number;
}

/** The properties of a Will stand in CONNECT's payload and have rules of their own. */
export const WILL = 0;

type Kind = "bit" | "byte" | "two" | "four" | "variable" | "text" | "binary" | "pair";

interface Definition {
  readonly id: number;
  readonly name: keyof MqttProperties;
  readonly kind: Kind;
  /** 1 << packet type. */
  readonly packets: number;
  /** The value 0 is a protocol error. */
  readonly positive: boolean;
}

const ALL = 0xfffe | 1 << WILL;

const DEFINITIONS: readonly Definition[] = [
  define(0x01, "payloadFormat", "bit", [PUBLISH, WILL]),
  define(0x02, "messageExpiry", "four", [PUBLISH, WILL]),
  define(0x03, "contentType", "text", [PUBLISH, WILL]),
  define(0x08, "responseTopic", "text", [PUBLISH, WILL]),
  define(0x09, "correlationData", "binary", [PUBLISH, WILL]),
  define(0x0b, "subscriptionIds", "variable", [PUBLISH, SUBSCRIBE], true),
  define(0x11, "sessionExpiry", "four", [CONNECT, CONNACK, DISCONNECT]),
  define(0x12, "assignedClientId", "text", [CONNACK]),
  define(0x13, "serverKeepAlive", "two", [CONNACK]),
  define(0x15, "authenticationMethod", "text", [CONNECT, CONNACK, AUTH]),
  define(0x16, "authenticationData", "binary", [CONNECT, CONNACK, AUTH]),
  define(0x17, "requestProblemInformation", "bit", [CONNECT]),
  define(0x18, "willDelay", "four", [WILL]),
  define(0x19, "requestResponseInformation", "bit", [CONNECT]),
  define(0x1a, "responseInformation", "text", [CONNACK]),
  define(0x1c, "serverReference", "text", [CONNACK, DISCONNECT]),
  define(0x1f, "reasonString", "text", [
    CONNACK,
    PUBACK,
    PUBREC,
    PUBREL,
    PUBCOMP,
    SUBACK,
    UNSUBACK,
    DISCONNECT,
    AUTH,
  ]),
  define(0x21, "receiveMaximum", "two", [CONNECT, CONNACK], true),
  define(0x22, "topicAliasMaximum", "two", [CONNECT, CONNACK]),
  define(0x23, "topicAlias", "two", [PUBLISH]),
  define(0x24, "maximumQos", "bit", [CONNACK]),
  define(0x25, "retainAvailable", "bit", [CONNACK]),
  { id: 0x26, name: "userProperties", kind: "pair", packets: ALL, positive: false },
  define(0x27, "maximumPacketSize", "four", [CONNECT, CONNACK], true),
  define(0x28, "wildcardsAvailable", "bit", [CONNACK]),
  define(0x29, "subscriptionIdsAvailable", "bit", [CONNACK]),
  define(0x2a, "sharedAvailable", "bit", [CONNACK]),
];
const BY_ID: readonly (Definition | undefined)[] = byId();

function define(
  id: number,
  name: keyof MqttProperties,
  kind: Kind,
  packets: readonly number[],
  positive = false,
): Definition {
  return { id, name, kind, packets: packets.reduce((bits, packet) => bits | 1 << packet, 0), positive };
}

function byId(): (Definition | undefined)[] {
  const table: (Definition | undefined)[] = [];
  for (const definition of DEFINITIONS) table[definition.id] = definition;
  return table;
}

/** Of packets without properties: shared, never changed. */
export const NO_PROPERTIES: Readonly<MqttProperties> = Object.freeze({});

/** Reads a property length and what it spans. `packet` is a packet type or WILL. Throws an MqttViolation. */
export function readProperties(values: MqttValues, packet: number): Readonly<MqttProperties> {
  const size = values.variable();
  if (size === 0) return NO_PROPERTIES;
  if (size > values.left) throw malformed("properties reach over the end of their packet");
  const end = values.at + size;
  const properties: Record<string, unknown> = {};
  while (values.at < end) {
    const id = values.variable();
    const definition = BY_ID[id];
    if (definition === undefined) throw malformed(`property ${id} is not known`);
    if ((definition.packets & 1 << packet) === 0) throw malformed(`property ${id} does not belong to this packet`);
    readProperty(values, packet, definition, properties);
  }
  if (values.at !== end) throw malformed("a property reaches over the end of the properties");
  return properties as MqttProperties;
}

function readProperty(
  values: MqttValues,
  packet: number,
  { name, kind, positive }: Definition,
  properties: Record<string, unknown>,
): void {
  if (kind === "pair") {
    const pair: [string, string] = [values.text(), values.text()];
    const pairs = properties[name] as [string, string][] | undefined;
    if (pairs === undefined) properties[name] = [pair];
    else pairs.push(pair);
    return;
  }
  const value = readValue(values, kind);
  if (positive && value === 0) throw protocolError(`${name} of 0`);
  if (kind === "bit" && (value as number) > 1) throw protocolError(`${name} of ${value}`);
  if (kind === "variable") {
    const ids = properties[name] as number[] | undefined;
    if (ids === undefined) {
      properties[name] = [value];
      return;
    }
    if (packet === SUBSCRIBE) throw protocolError(`${name} twice`);
    ids.push(value as number);
    return;
  }
  if (properties[name] !== undefined) throw protocolError(`${name} twice`);
  properties[name] = value;
}

function readValue(values: MqttValues, kind: Exclude<Kind, "pair">): number | string | Uint8Array {
  switch (kind) {
    case "bit":
    case "byte":
      return values.uint8();
    case "two":
      return values.uint16();
    case "four":
      return values.uint32();
    case "variable":
      return values.variable();
    case "text":
      return values.text();
    case "binary":
      return values.binary().slice();
  }
}

/** What `putProperties` writes, its length in front included. */
export function propertiesBytes(properties: Readonly<MqttProperties>): number {
  const size = valuesBytes(properties);
  return variableBytes(size) + size;
}

const ENCODER = new TextEncoder();

function valuesBytes(properties: Readonly<MqttProperties>): number {
  let size = 0;
  for (const { name, kind } of DEFINITIONS) {
    const value = properties[name];
    if (value === undefined) continue;
    switch (kind) {
      case "bit":
      case "byte":
        size += 2;
        break;
      case "two":
        size += 3;
        break;
      case "four":
        size += 5;
        break;
      case "variable":
        for (const id of value as number[]) size += 1 + variableBytes(id);
        break;
      case "text":
        size += 3 + textBytes(value as string);
        break;
      case "binary":
        size += 3 + (value as Uint8Array).length;
        break;
      case "pair":
        for (const [key, text] of value as [string, string][]) size += 5 + textBytes(key) + textBytes(text);
    }
  }
  return size;
}

/** Bytes of a text in UTF-8. */
export function textBytes(text: string): number {
  let plain = 0;
  while (plain < text.length && text.charCodeAt(plain) < 0x80) plain++;
  return plain === text.length ? plain : ENCODER.encode(text).length;
}

/** Writes the length and the properties. */
export function putProperties(out: OutBuffer, properties: Readonly<MqttProperties>): void {
  putVariable(out, valuesBytes(properties));
  for (const { id, name, kind } of DEFINITIONS) {
    const value = properties[name];
    if (value === undefined) continue;
    switch (kind) {
      case "bit":
      case "byte":
        putUint8(out, id);
        putUint8(out, value as number);
        break;
      case "two":
        putUint8(out, id);
        putUint16(out, value as number);
        break;
      case "four":
        putUint8(out, id);
        putUint32(out, value as number);
        break;
      case "variable":
        for (const one of value as number[]) {
          putUint8(out, id);
          putVariable(out, one);
        }
        break;
      case "text":
        putUint8(out, id);
        putText(out, value as string);
        break;
      case "binary":
        putUint8(out, id);
        putBinary(out, value as Uint8Array);
        break;
      case "pair":
        for (const [key, text] of value as [string, string][]) {
          putUint8(out, id);
          putText(out, key);
          putText(out, text);
        }
    }
  }
}
