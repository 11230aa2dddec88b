// A message on its way from MQTT into the broker: route, header and payload as the three runs of bytes that everything
// behind it takes. One object is filled anew for each message.

import { Message, MESSAGE_EXPIRES, MESSAGE_PERSISTENT } from "../store/message.ts";
import type { Qos } from "../wire/mqtt_packet.ts";
import type { MqttProperties } from "../wire/mqtt_properties.ts";
import { MESSAGE_MQTT, MESSAGE_QOS_2, MESSAGE_RETAIN, MESSAGE_UTF8 } from "./message_flags.ts";
import { headerOf, PLAIN_HEADER_BYTES, writePlainHeader } from "./message_properties.ts";
import type { TopicMapping } from "./topics.ts";

/** The exchange that MQTT publishes to and binds to. */
export const MQTT_EXCHANGE = "amq.topic";
/** A routing key, which is an AMQP short string, bytes: longer topics are refused. */
export const TOPIC_BYTES_MAX = 255;
/** What expires later than this (49 days) does not expire: AMQP's largest expiration, milliseconds. */
const EXPIRATION_MS_MAX = 0xffffffff;

const ENCODER = new TextEncoder();
/** U+FEFF at a topic's beginning is a character like any other [MQTT-1.5.4-3]. */
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
/** Length and name of the exchange. */
const EXCHANGE = ENCODER.encode(`\x09${MQTT_EXCHANGE}`);
const KEY_AT = EXCHANGE.length + 1;

export class Publication {
  readonly message = new Message();
  readonly #mapping: TopicMapping;
  readonly #route = new Uint8Array(KEY_AT + TOPIC_BYTES_MAX);
  readonly #plainHeader = new Uint8Array(PLAIN_HEADER_BYTES);

  constructor(mapping: TopicMapping) {
    this.#mapping = mapping;
    this.#route.set(EXCHANGE);
    this.message.route = this.#route;
  }

  /** The topic, as it came. Hot for publishers of many topics. */
  setTopic(bytes: Uint8Array, at: number, size: number): void {
    const route = this.#route;
    const { toKey } = this.#mapping;
    route[KEY_AT - 1] = size;
    for (let index = 0; index < size; index++) route[KEY_AT + index] = toKey[bytes[at + index]!]!;
    this.message.routeBytes = KEY_AT + size;
  }

  setTopicText(topic: string): void {
    const bytes = ENCODER.encode(topic);
    this.setTopic(bytes, 0, bytes.length);
  }

  /** The routing key of the topic that was set. */
  get routingKey(): string {
    return DECODER.decode(this.#route.subarray(KEY_AT, this.message.routeBytes));
  }

  /** Everything besides the topic. Hot. */
  fill(
    qos: Qos,
    retain: boolean,
    properties: Readonly<MqttProperties> | null,
    payload: Uint8Array,
    at: number,
    size: number,
    nowMs: number,
  ): Message {
    const message = this.message;
    message.flags = MESSAGE_MQTT | (qos > 0 ? MESSAGE_PERSISTENT : 0) | (qos === 2 ? MESSAGE_QOS_2 : 0) |
      (retain ? MESSAGE_RETAIN : 0);
    message.timestampMs = nowMs;
    message.body = payload;
    message.bodyAt = at;
    message.bodyBytes = size;
    message.headerAt = 0;
    if (properties === null) {
      writePlainHeader(this.#plainHeader, size, qos > 0);
      message.header = this.#plainHeader;
      message.headerBytes = PLAIN_HEADER_BYTES;
    } else {
      message.header = headerOf(properties, size, qos > 0, this.#mapping);
      message.headerBytes = message.header.length;
      const { messageExpiry, payloadFormat } = properties;
      if (messageExpiry !== undefined && messageExpiry * 1000 <= EXPIRATION_MS_MAX) message.flags |= MESSAGE_EXPIRES;
      if (payloadFormat === 1) message.flags |= MESSAGE_UTF8;
    }
    return message;
  }
}
