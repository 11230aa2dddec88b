// How a message is written as the PUBLISH that one client gets.

import { copyBytes, type OutBuffer } from "../lib/out_buffer.ts";
import type { Message } from "../store/message.ts";
import { packetBytes, publishFlags, writeHead } from "../wire/mqtt_encode.ts";
import type { MqttVersion, Qos } from "../wire/mqtt_packet.ts";
import { type MqttProperties, propertiesBytes, putProperties } from "../wire/mqtt_properties.ts";
import { isMqttText, isTopicName } from "../wire/mqtt_text.ts";
import { MESSAGE_MQTT, MESSAGE_RETAIN, MESSAGE_RETAINED } from "./message_flags.ts";
import { hasProperties, propertiesOf } from "./message_properties.ts";
import type { Matched } from "./subscriptions.ts";
import type { TopicMapping } from "./topics.ts";

/** What one connection's client can take. */
export interface Recipient {
  readonly version: MqttVersion;
  readonly mapping: TopicMapping;
  /** Larger packets are not sent [MQTT-3.1.2-24]. */
  readonly packetBytesMax: number;
  readonly aliases: TopicAliases | null;
}

/** Aliases that we have given to the topics of one connection: the first ones that come get one. */
export class TopicAliases {
  readonly #max: number;
  readonly #aliases = new Map<string, number>();
  /** The last answer was a new alias, to be told with its topic. */
  isNew = false;

  constructor(max: number) {
    this.#max = max;
  }

  /** 0 when there is none left. */
  of(key: string): number {
    const known = this.#aliases.get(key);
    this.isNew = known === undefined;
    if (known !== undefined) return known;
    if (this.#aliases.size >= this.#max) return 0;
    const alias = this.#aliases.size + 1;
    this.#aliases.set(key, alias);
    return alias;
  }

  /** The packet that was to tell it is not sent. */
  takeBack(key: string): void {
    this.#aliases.delete(key);
  }
}

/** What MQTT cannot say: a routing key that is no topic name, from an AMQP publisher. */
function isSayable({ route, flags }: Message, at: number, size: number, mapping: TopicMapping): boolean {
  if ((flags & MESSAGE_MQTT) !== 0) return true;
  if (!isMqttText(route, at, size)) return false;
  const topic = new Uint8Array(size);
  for (let index = 0; index < size; index++) topic[index] = mapping.toTopic[route[at + index]!]!;
  return isTopicName(topic, 0, size);
}

/** Whether the retain flag is set in what the client gets [MQTT-3.3.1-12, MQTT-3.3.1-13]. Hot. */
function retainFlag(flags: number, retainAsPublished: boolean): boolean {
  return (flags & MESSAGE_RETAINED) !== 0 || (retainAsPublished && (flags & MESSAGE_RETAIN) !== 0);
}

/** Writes the packet; false when the client cannot be told of this message, which then counts as delivered. Hot. */
export function writeDelivery(
  out: OutBuffer,
  recipient: Recipient,
  message: Message,
  matched: Matched,
  qos: Qos,
  id: number,
  dup: boolean,
  nowMs: number,
): boolean {
  const { route, bodyBytes } = message;
  const lengthAt = message.routeAt + 1 + route[message.routeAt]!;
  const keyAt = lengthAt + 1;
  const keyBytes = message.routeAt + message.routeBytes - keyAt;
  if (!isSayable(message, keyAt, keyBytes, recipient.mapping)) return false;
  const first = publishFlags(qos, retainFlag(message.flags, matched.retainAsPublished), dup);
  const isPlain = recipient.version < 5 ||
    (matched.ids === null && recipient.aliases === null && !hasProperties(message));
  if (!isPlain) return writeWithProperties(out, recipient, message, matched, first, id, keyAt, keyBytes, nowMs);
  const remaining = 2 + keyBytes + (qos > 0 ? 2 : 0) + (recipient.version === 5 ? 1 : 0) + bodyBytes;
  const total = packetBytes(remaining);
  if (total > recipient.packetBytesMax) return false;
  let at = out.reserve(total);
  const { bytes } = out;
  at = writeTopic(bytes, writeHead(bytes, at, first, remaining), route, keyAt, keyBytes, recipient.mapping);
  if (qos > 0) {
    bytes[at++] = id >>> 8;
    bytes[at++] = id;
  }
  if (recipient.version === 5) bytes[at++] = 0;
  copyBytes(message.body, message.bodyAt, bytes, at, bodyBytes);
  return true;
}

/** Hot. */
function writeTopic(
  bytes: Uint8Array,
  at: number,
  route: Uint8Array,
  keyAt: number,
  keyBytes: number,
  { toTopic }: TopicMapping,
): number {
  bytes[at++] = keyBytes >>> 8;
  bytes[at++] = keyBytes;
  for (let index = 0; index < keyBytes; index++) bytes[at++] = toTopic[route[keyAt + index]!]!;
  return at;
}

const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

function writeWithProperties(
  out: OutBuffer,
  recipient: Recipient,
  message: Message,
  { ids }: Matched,
  first: number,
  id: number,
  keyAt: number,
  keyBytes: number,
  nowMs: number,
): boolean {
  const { aliases, mapping } = recipient;
  const properties: MqttProperties = hasProperties(message) ? propertiesOf(message, mapping, nowMs) : {};
  if (ids !== null) properties.subscriptionIds = [...ids];
  const key = aliases === null ? "" : DECODER.decode(message.route.subarray(keyAt, keyAt + keyBytes));
  const alias = aliases?.of(key) ?? 0;
  const isNew = alias !== 0 && aliases!.isNew;
  if (alias !== 0) properties.topicAlias = alias;
  const topicBytes = alias !== 0 && !isNew ? 0 : keyBytes;
  const withId = (first & 6) !== 0;
  const remaining = 2 + topicBytes + (withId ? 2 : 0) + propertiesBytes(properties) + message.bodyBytes;
  const total = packetBytes(remaining);
  if (total > recipient.packetBytesMax) {
    if (isNew) aliases!.takeBack(key);
    return false;
  }
  const headBytes = total - remaining + 2 + topicBytes + (withId ? 2 : 0);
  let at = out.reserve(headBytes);
  const { bytes } = out;
  at = writeTopic(bytes, writeHead(bytes, at, first, remaining), message.route, keyAt, topicBytes, mapping);
  if (withId) {
    bytes[at++] = id >>> 8;
    bytes[at++] = id;
  }
  putProperties(out, properties);
  at = out.reserve(message.bodyBytes);
  copyBytes(message.body, message.bodyAt, out.bytes, at, message.bodyBytes);
  return true;
}
