// What one connection publishes: finds topic and route of a PUBLISH, hands the message to its queues, keeps it if it is to
// be retained, and owes the acknowledgement.

import type { Target } from "../core/target.ts";
import { copyBytes } from "../lib/out_buffer.ts";
import { type Message, MESSAGE_PERSISTENT } from "../store/message.ts";
import type { PublishPacket } from "../wire/mqtt_decode.ts";
import {
  malformed,
  MALFORMED_PACKET,
  MqttViolation,
  NO_MATCHING_SUBSCRIBERS,
  NOT_AUTHORIZED,
  PAYLOAD_FORMAT_INVALID,
  PROTOCOL_ERROR,
  PUBACK,
  PUBREC,
  QUOTA_EXCEEDED,
  TOPIC_ALIAS_INVALID,
  TOPIC_NAME_INVALID,
} from "../wire/mqtt_packet.ts";
import { NO_PROPERTIES } from "../wire/mqtt_properties.ts";
import { isMqttText, isTopicName, levelsOf, mqttText } from "../wire/mqtt_text.ts";
import type { Acks } from "./acks.ts";
import { isAllowed } from "./authorize.ts";
import type { MqttConnection } from "./connection.ts";
import { MqttError } from "./errors.ts";
import { MQTT_EXCHANGE, Publication, TOPIC_BYTES_MAX } from "./publication.ts";
import type { Session } from "./session.ts";
import { TOPIC_LEVELS_MAX } from "./subscriptions.ts";

/** Of a client that publishes with aliases: what we announce. */
export const TOPIC_ALIASES_MAX = 256;
const DOLLAR = 0x24;
const SYSTEM_TOPICS = "$SYS/";

export class Publisher {
  readonly #connection: MqttConnection;
  readonly #session: Session;
  readonly #acks: Acks;
  readonly #publication: Publication;
  // The last topic and where it led.
  readonly #topic = new Uint8Array(TOPIC_BYTES_MAX);
  #topicBytes = -1;
  #revision = 0;
  #targets: readonly Target[] = [];
  #toDisk = false;
  #keptFlags = 0;
  #remember: (() => void) | null = null;
  /** Messages with the last topic go nowhere; the reason code that says why. */
  #refusedWith = 0;
  #aliases: (Uint8Array | undefined)[] | null = null;

  constructor(connection: MqttConnection, session: Session, acks: Acks) {
    this.#connection = connection;
    this.#session = session;
    this.#acks = acks;
    this.#publication = new Publication(connection.services.mapping);
  }

  /** Hot. */
  publish(packet: PublishPacket): void {
    const { traffic } = this.#connection.services;
    traffic.publishReceived++;
    traffic.publishBytesReceived += packet.payloadBytes;
    if (packet.qos === 2 && this.#session.hasReceived(packet.id, packet.dup)) {
      // It comes again because PUBREC got lost: it is ours already [MQTT-4.3.3-10].
      return this.#acks.add(PUBREC, packet.id, 0, true);
    }
    if (packet.properties !== NO_PROPERTIES) this.#checkProperties(packet);
    if (!this.#isLastTopic(packet)) this.#setTopic(packet);
    if (this.#revision !== this.#session.host.vhost.revision) this.#findTargets(packet);
    if (this.#refusedWith !== 0) return this.#refuse(packet, this.#refusedWith);
    const { properties } = packet;
    const message = this.#publication.fill(
      packet.qos,
      packet.retain,
      properties === NO_PROPERTIES ? null : properties,
      packet.bytes,
      packet.payloadAt,
      packet.payloadBytes,
      this.#connection.services.clock.nowMs,
    );
    this.#hand(packet, message);
  }

  #hand(packet: PublishPacket, message: Message): void {
    // A retained message first, so that a full disk leaves queues and retained messages alike.
    const keptToDisk = packet.retain && this.#session.host.retained.set(this.#publication.routingKey, message);
    const targets = this.#targets;
    const { counters } = this.#session.host;
    counters.publish++;
    if (targets.length === 0) counters.dropUnroutable++;
    let refused = false;
    for (let i = 0; i < targets.length; i++) if (!targets[i]!.publish(message)) refused = true;
    if (this.#remember !== null && !refused) this.#remember();
    // The next one may be a duplicate.
    if (this.#remember !== null) this.#revision = 0;
    if (packet.qos === 0) return;
    if (refused) return this.#refuse(packet, QUOTA_EXCEEDED);
    const toDisk = keptToDisk || this.#toDisk && ((message.flags | this.#keptFlags) & MESSAGE_PERSISTENT) !== 0;
    const code = targets.length === 0 ? NO_MATCHING_SUBSCRIBERS : 0;
    if (packet.qos === 1) return this.#acks.add(PUBACK, packet.id, code, toDisk);
    const noted = this.#session.receive(packet.id);
    this.#acks.add(PUBREC, packet.id, code, toDisk || noted);
  }

  /** MQTT 5 says so in the acknowledgement. Before it there are no words: what may not be published is swallowed. */
  #refuse(packet: PublishPacket, code: number): void {
    if (packet.qos === 0) return;
    if (this.#connection.version < 5) {
      if (code === QUOTA_EXCEEDED) throw new MqttError(code, "a queue with a limit refused a message");
      code = 0;
      if (packet.qos === 2) this.#session.receive(packet.id);
    }
    this.#acks.add(packet.qos === 1 ? PUBACK : PUBREC, packet.id, code, false);
  }

  #checkProperties({ properties, bytes, payloadAt, payloadBytes }: PublishPacket): void {
    const { responseTopic, subscriptionIds, payloadFormat } = properties;
    if (subscriptionIds !== undefined) {
      throw new MqttViolation(PROTOCOL_ERROR, "a PUBLISH with a subscription identifier");
    }
    if (responseTopic !== undefined && (responseTopic === "" || /[+#]/.test(responseTopic))) {
      throw new MqttViolation(PROTOCOL_ERROR, "a response topic that is no topic name");
    }
    if (payloadFormat === 1 && !isMqttText(bytes, payloadAt, payloadBytes)) {
      throw new MqttViolation(PAYLOAD_FORMAT_INVALID, "a payload that is not the UTF-8 it is said to be");
    }
  }

  /** Hot. */
  #isLastTopic({ bytes, topicAt, topicBytes, properties }: PublishPacket): boolean {
    if (topicBytes !== this.#topicBytes || properties.topicAlias !== undefined) return false;
    const topic = this.#topic;
    for (let i = 0; i < topicBytes; i++) if (topic[i] !== bytes[topicAt + i]) return false;
    return true;
  }

  #setTopic(packet: PublishPacket): void {
    let { bytes, topicAt: at, topicBytes: size } = packet;
    this.#topicBytes = -1;
    this.#revision = 0;
    const { topicAlias } = packet.properties;
    if (topicAlias !== undefined) {
      const topic = this.#resolveAlias(topicAlias, bytes, at, size);
      [bytes, at, size] = [topic, 0, topic.length];
    }
    if (size === 0) {
      const code = this.#connection.version === 5 ? PROTOCOL_ERROR : MALFORMED_PACKET;
      throw new MqttViolation(code, "a PUBLISH without a topic");
    }
    if (!isMqttText(bytes, at, size)) throw malformed("a topic that is not well-formed UTF-8, or has U+0000");
    if (!isTopicName(bytes, at, size)) throw new MqttViolation(TOPIC_NAME_INVALID, "a topic name with wildcards");
    if (size > TOPIC_BYTES_MAX || levelsOf(bytes, at, size) > TOPIC_LEVELS_MAX) {
      throw new MqttViolation(
        TOPIC_NAME_INVALID,
        `expected a topic of at most ${TOPIC_BYTES_MAX} bytes and ${TOPIC_LEVELS_MAX} levels, found ${size} bytes`,
      );
    }
    copyBytes(bytes, at, this.#topic, 0, size);
    this.#topicBytes = size;
    this.#publication.setTopic(bytes, at, size);
  }

  #resolveAlias(alias: number, bytes: Uint8Array, at: number, size: number): Uint8Array {
    if (alias === 0 || alias > TOPIC_ALIASES_MAX) {
      throw new MqttViolation(TOPIC_ALIAS_INVALID, `topic alias ${alias}, at most ${TOPIC_ALIASES_MAX} are taken`);
    }
    const aliases = this.#aliases ??= [];
    if (size > 0) return aliases[alias] = bytes.slice(at, at + size);
    const topic = aliases[alias];
    if (topic === undefined) throw new MqttViolation(PROTOCOL_ERROR, `topic alias ${alias} was never set`);
    return topic;
  }

  #findTargets(packet: PublishPacket): void {
    const { host, login } = this.#session;
    const publication = this.#publication;
    const { routingKey, message } = publication;
    this.#targets = [];
    this.#remember = null;
    this.#refusedWith = this.#refusalOf(routingKey);
    if (this.#refusedWith !== 0) {
      this.#revision = host.vhost.revision;
      return;
    }
    if (login === null || !isAllowed(login, { kind: "publish", routingKey })) {
      this.#refusedWith = NOT_AUTHORIZED;
      this.#revision = host.vhost.revision;
      return;
    }
    // A header exchange behind amq.topic may ask for what the message says.
    const { properties } = packet;
    publication.fill(
      packet.qos,
      packet.retain,
      properties === NO_PROPERTIES ? null : properties,
      packet.bytes,
      packet.payloadAt,
      packet.payloadBytes,
      0,
    );
    const route = host.vhost.route(MQTT_EXCHANGE, [routingKey], message);
    this.#targets = host.withoutEcho(this.#session, routingKey, route.queues);
    this.#remember = route.remember;
    this.#toDisk = this.#targets.some((target) => target.logged);
    this.#keptFlags = this.#targets.some((target) => target.keepsAll) ? MESSAGE_PERSISTENT : 0;
    this.#revision = route.cacheable ? host.vhost.revision : 0;
  }

  /** The broker's own topics are not for clients to publish to. */
  #refusalOf(routingKey: string): number {
    if (this.#topic[0] !== DOLLAR) return 0;
    return mqttText(this.#topic, 0, this.#topicBytes).startsWith(SYSTEM_TOPICS) && routingKey !== ""
      ? NOT_AUTHORIZED
      : 0;
  }
}
