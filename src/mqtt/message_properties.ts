// The properties of MQTT 5 and AMQP's content header, both ways, as RabbitMQ maps them (the table is in docs/mqtt.md).
// What AMQP cannot hold (names that come twice, long values) stands in a header of ours besides, so that MQTT clients get
// it back unaltered [MQTT-3.3.2-17].

import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import type { Message } from "../store/message.ts";
import {
  decodeHeader,
  HEADER_BYTES_MIN,
  type Properties,
  propertiesFlags,
  PROPERTY_DELIVERY_MODE,
  putProperties,
} from "../wire/amqp_properties.ts";
import { ProtocolViolation } from "../wire/amqp_frame.ts";
import type { Field, FieldTable } from "../wire/amqp_table.ts";
import { putLonglong } from "../wire/amqp_values.ts";
import { type MqttProperties, NO_PROPERTIES, textBytes } from "../wire/mqtt_properties.ts";
import { isMqttText, mqttText } from "../wire/mqtt_text.ts";
import { MqttValues, putText } from "../wire/mqtt_values.ts";
import { MESSAGE_MQTT, MESSAGE_UTF8 } from "./message_flags.ts";
import type { TopicMapping } from "./topics.ts";

/** A message without properties: body size, flags, delivery mode. */
export const PLAIN_HEADER_BYTES = HEADER_BYTES_MIN + 1;
const SHORT_STRING_BYTES_MAX = 255;

// RabbitMQ's names.
const REPLY_TO_TOPIC = "x-reply-to-topic";
const CORRELATION_ID = "x-correlation-id";
// Ours.
const USER_PROPERTIES = "x-mqtt-user-properties";
const RESPONSE_TOPIC = "x-mqtt-response-topic";
const CONTENT_TYPE = "x-mqtt-content-type";
const RESERVED: ReadonlySet<string> = new Set([
  REPLY_TO_TOPIC,
  CORRELATION_ID,
  USER_PROPERTIES,
  RESPONSE_TOPIC,
  CONTENT_TYPE,
]);

const ENCODER = new TextEncoder();

/** Writes the header of a message without properties at the beginning of `header`. Hot. */
export function writePlainHeader(header: Uint8Array, bodyBytes: number, persistent: boolean): void {
  header[0] =
    header[1] =
    header[2] =
    header[3] =
      0;
  header[4] = bodyBytes >>> 24;
  header[5] = bodyBytes >>> 16;
  header[6] = bodyBytes >>> 8;
  header[7] = bodyBytes;
  header[8] = PROPERTY_DELIVERY_MODE >>> 8;
  header[9] = PROPERTY_DELIVERY_MODE & 0xff;
  header[10] = persistent ? 2 : 1;
}

/** The content header of a message with properties. */
export function headerOf(
  properties: Readonly<MqttProperties>,
  bodyBytes: number,
  persistent: boolean,
  mapping: TopicMapping,
): Uint8Array {
  const amqp: Properties = { deliveryMode: persistent ? 2 : 1 };
  const headers: FieldTable = new Map();
  const { contentType, responseTopic, correlationData, messageExpiry, userProperties } = properties;
  if (userProperties !== undefined) putUserProperties(headers, userProperties);
  if (contentType !== undefined) {
    if (textBytes(contentType) <= SHORT_STRING_BYTES_MAX) amqp.contentType = contentType;
    else headers.set(CONTENT_TYPE, longString(contentType));
  }
  if (responseTopic !== undefined) {
    const key = mapping.keyOf(responseTopic);
    headers.set(REPLY_TO_TOPIC, longString(key));
    if (mapping.topicOf(key) !== responseTopic) headers.set(RESPONSE_TOPIC, longString(responseTopic));
  }
  if (correlationData !== undefined) {
    const size = correlationData.length;
    if (size <= SHORT_STRING_BYTES_MAX && isMqttText(correlationData, 0, size)) {
      amqp.correlationId = mqttText(correlationData, 0, size);
    } else {
      headers.set(CORRELATION_ID, { type: "S", value: correlationData });
    }
  }
  if (messageExpiry !== undefined) amqp.expiration = String(messageExpiry * 1000);
  if (headers.size > 0) amqp.headers = headers;
  const out = new OutBuffer(new BufferPool());
  putLonglong(out, bodyBytes);
  putProperties(out, amqp);
  return out.bytes.slice(out.start, out.end);
}

function putUserProperties(headers: FieldTable, pairs: readonly (readonly [string, string])[]): void {
  let exact = true;
  for (const [name, value] of pairs) {
    const fits = !headers.has(name) && !RESERVED.has(name) && textBytes(name) <= SHORT_STRING_BYTES_MAX;
    if (fits) headers.set(name, longString(value));
    else exact = false;
  }
  if (exact) return;
  const out = new OutBuffer(new BufferPool());
  for (const [name, value] of pairs) {
    putText(out, name);
    putText(out, value);
  }
  headers.set(USER_PROPERTIES, { type: "x", value: out.bytes.slice(out.start, out.end) });
}

function longString(value: string): Field {
  return { type: "S", value };
}

/** Whether a message has properties that MQTT 5 has a word for. Hot. */
export function hasProperties({ header, headerAt, flags }: Message): boolean {
  return (propertiesFlags(header, headerAt) & ~PROPERTY_DELIVERY_MODE) !== 0 || (flags & MESSAGE_UTF8) !== 0;
}

/** The properties of a message as MQTT 5 tells them; `nowMs` is for what is left of its time. */
export function propertiesOf(message: Message, mapping: TopicMapping, nowMs: number): MqttProperties {
  const properties: MqttProperties = {};
  if ((message.flags & MESSAGE_UTF8) !== 0) properties.payloadFormat = 1;
  const header = readHeader(message);
  const table = header.headers;
  const contentType = header.contentType ?? textOf(table?.get(CONTENT_TYPE));
  if (contentType !== undefined && isText(contentType)) properties.contentType = contentType;
  const responseTopic = responseTopicOf(table, mapping);
  if (responseTopic !== undefined) properties.responseTopic = responseTopic;
  const correlation = table?.get(CORRELATION_ID)?.value;
  if (header.correlationId !== undefined) properties.correlationData = ENCODER.encode(header.correlationId);
  else if (correlation instanceof Uint8Array) properties.correlationData = correlation;
  else if (typeof correlation === "string") properties.correlationData = ENCODER.encode(correlation);
  if (header.expiration !== undefined) {
    const expiryMs = Number(header.expiration);
    if (Number.isFinite(expiryMs)) {
      const leftMs = Math.max(0, message.timestampMs + expiryMs - nowMs);
      properties.messageExpiry = Math.min(0xffffffff, Math.ceil(leftMs / 1000));
    }
  }
  if (table !== undefined) {
    const pairs = userPropertiesOf(table, (message.flags & MESSAGE_MQTT) !== 0);
    if (pairs.length > 0) properties.userProperties = pairs;
  }
  return properties;
}

/** One that AMQP's own rules do not cover is as good as none. */
function readHeader({ header, headerAt, headerBytes }: Message): Properties {
  try {
    return decodeHeader(header, headerAt, headerBytes);
  } catch (error) {
    if (error instanceof ProtocolViolation) return NO_PROPERTIES as Properties;
    throw error;
  }
}

function responseTopicOf(table: FieldTable | undefined, mapping: TopicMapping): string | undefined {
  const exact = textOf(table?.get(RESPONSE_TOPIC));
  if (exact !== undefined) return exact;
  const key = textOf(table?.get(REPLY_TO_TOPIC));
  if (key === undefined) return undefined;
  const topic = mapping.topicOf(key);
  return topic === "" || /[+#]/.test(topic) || !isText(topic) ? undefined : topic;
}

function userPropertiesOf(table: FieldTable, isOurs: boolean): [string, string][] {
  const exact = isOurs ? table.get(USER_PROPERTIES)?.value : undefined;
  if (exact instanceof Uint8Array) {
    const values = new MqttValues().over(exact, 0, exact.length);
    const pairs: [string, string][] = [];
    while (values.left > 0) pairs.push([values.text(), values.text()]);
    return pairs;
  }
  const pairs: [string, string][] = [];
  for (const [name, field] of table) {
    if (RESERVED.has(name)) continue;
    const value = plainText(field);
    if (value !== null && isText(name) && isText(value)) pairs.push([name, value]);
  }
  return pairs;
}

/** Numbers and booleans as text, as RabbitMQ does; what has no plain text is left out. */
function plainText({ value }: Field): string | null {
  switch (typeof value) {
    case "string":
      return value;
    case "boolean":
    case "number":
    case "bigint":
      return String(value);
    default:
      return null;
  }
}

function textOf(field: Field | undefined): string | undefined {
  return typeof field?.value === "string" ? field.value : undefined;
}

/** Whether MQTT can hold it. */
function isText(text: string): boolean {
  return text.length <= 65_535 && textBytes(text) <= 65_535 && !text.includes("\0");
}
