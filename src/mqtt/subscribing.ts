// SUBSCRIBE and UNSUBSCRIBE: filters become bindings of the session's queues, and what is retained for them is sent.

import type { SubscribePacket, Subscription, UnsubscribePacket } from "../wire/mqtt_decode.ts";
import {
  NO_SUBSCRIPTION_EXISTED,
  NOT_AUTHORIZED,
  QUOTA_EXCEEDED,
  SUBSCRIPTION_FAILED,
  SUCCESS,
  TOPIC_FILTER_INVALID,
} from "../wire/mqtt_packet.ts";
import { packetBytes, writeSuback, writeUnsuback } from "../wire/mqtt_encode.ts";
import { isTopicFilter, sharedFilter } from "../wire/mqtt_text.ts";
import { isAllowed } from "./authorize.ts";
import type { MqttConnection } from "./connection.ts";
import { MQTT_EXCHANGE, TOPIC_BYTES_MAX } from "./publication.ts";
import { queueName, type Session } from "./session.ts";
import { shareName } from "./shares.ts";
import { argumentsOf, type SubscriptionOptions, TOPIC_LEVELS_MAX } from "./subscriptions.ts";

/** Of one session. */
const SUBSCRIPTIONS_MAX = 100_000;
/** SUBACK and UNSUBACK of MQTT 5 besides their codes: packet identifier, no properties. */
const ANSWER_BYTES = 3;
const SYSTEM = /^\$SYS(\/|$)/;

/** What a subscription brings of what is retained. */
export interface Replay {
  readonly pattern: string;
  readonly options: SubscriptionOptions;
  /** Of $SYS topics. */
  readonly system: boolean;
}

export function subscribe(connection: MqttConnection, session: Session, packet: SubscribePacket): void {
  const codes: number[] = [];
  const replays: Replay[] = [];
  for (const subscription of packet.subscriptions) {
    codes.push(subscribeOne(connection, session, subscription, packet.subscriptionId, replays));
  }
  if (session.shares !== null || session.system !== null) session.host.keep(session);
  const { version } = connection;
  const told = version === 5 ? codes : codes.map((code) => code >= SUBSCRIPTION_FAILED ? SUBSCRIPTION_FAILED : code);
  connection.replies.add(session.durable, () => {
    if (connection.session !== session) return;
    if (takesAnswer(connection, told)) {
      writeSuback(connection.conn.out, version, packet.id, told);
      connection.touch();
    }
    for (const replay of replays) connection.replays.add(replay);
  });
}

/** What is larger than the client takes counts as sent [MQTT-3.1.2-25]. */
function takesAnswer({ version, outgoing }: MqttConnection, codes: readonly number[]): boolean {
  return version < 5 || packetBytes(ANSWER_BYTES + codes.length) <= outgoing!.recipient.packetBytesMax;
}

/** Returns the code for SUBACK. */
function subscribeOne(
  connection: MqttConnection,
  session: Session,
  subscription: Subscription,
  id: number,
  replays: Replay[],
): number {
  const { host, subscriptions } = session;
  const { filter, qos, noLocal, retainAsPublished, retainHandling } = subscription;
  const shared = sharedFilter(filter);
  if (shared === "invalid") return TOPIC_FILTER_INVALID;
  const plain = shared === null ? filter : shared.filter;
  if (!isTopicFilter(plain) || Buffer.byteLength(plain) > TOPIC_BYTES_MAX) return TOPIC_FILTER_INVALID;
  if (plain.split("/").length > TOPIC_LEVELS_MAX) return TOPIC_FILTER_INVALID;
  const pattern = connection.services.mapping.patternOf(plain);
  const { login } = session;
  const queue = shared === null ? queueName(session.clientId, qos === 0 ? 0 : 1) : shareName(shared.group, pattern);
  if (login === null || !isAllowed(login, { kind: "subscribe", pattern, queue })) return NOT_AUTHORIZED;
  const count = subscriptions.size + (session.shares?.size ?? 0) + (session.system?.size ?? 0);
  if (count >= SUBSCRIPTIONS_MAX) return QUOTA_EXCEEDED;
  const options: SubscriptionOptions = { qos, noLocal, retainAsPublished, id };
  if (shared !== null) return share(session, filter, shared.group, pattern, options);
  const system = SYSTEM.test(plain);
  const isNew = system ? session.system?.has(filter) !== true : subscriptions.get(pattern) === undefined;
  if (system) host.subscribeToSystem(session, filter, options);
  else bind(session, pattern, options);
  if (retainHandling === 0 || (retainHandling === 1 && isNew)) replays.push({ pattern, options, system });
  return qos;
}

function share(
  session: Session,
  filter: string,
  group: string,
  pattern: string,
  options: SubscriptionOptions,
): number {
  const { shares } = session.host;
  const before = session.shares?.get(filter);
  if (before !== undefined) {
    if (JSON.stringify(before.options) === JSON.stringify(options)) return options.qos;
    // The new one joins first: a queue without members would go, with all that waits in it.
    before.share.queue.removeConsumer(before.consumer);
  }
  const joined = shares.join(session, filter, group, pattern, options);
  return joined === null ? TOPIC_FILTER_INVALID : options.qos;
}

function bind(session: Session, pattern: string, options: SubscriptionOptions): void {
  const { vhost } = session.host;
  const before = session.subscriptions.get(pattern);
  const queue = session.queueFor(options.qos);
  vhost.bind(MQTT_EXCHANGE, queue, pattern, argumentsOf(options));
  if (before !== undefined) {
    const oldQueue = session.queueFor(before.qos);
    const [old, now] = [argumentsOf(before), argumentsOf(options)];
    const same = oldQueue === queue && JSON.stringify([...old]) === JSON.stringify([...now]);
    if (!same) vhost.unbind(MQTT_EXCHANGE, oldQueue, pattern, old);
  }
  session.subscriptions.set({ pattern, ...options });
}

export function unsubscribe(connection: MqttConnection, session: Session, { id, filters }: UnsubscribePacket): void {
  const codes = filters.map((filter) => unsubscribeOne(connection, session, filter));
  if (session.shares !== null || session.system !== null) session.host.keep(session);
  connection.replies.add(session.durable, () => {
    if (connection.session !== session || !takesAnswer(connection, codes)) return;
    writeUnsuback(connection.conn.out, connection.version, id, codes);
    connection.touch();
  });
}

function unsubscribeOne(connection: MqttConnection, session: Session, filter: string): number {
  const { host } = session;
  const shared = sharedFilter(filter);
  if (shared === "invalid" || (shared === null && !isTopicFilter(filter))) return TOPIC_FILTER_INVALID;
  if (shared !== null) return host.shares.leave(session, filter) ? SUCCESS : NO_SUBSCRIPTION_EXISTED;
  if (session.system?.delete(filter) === true) {
    if (session.system.size === 0) host.systemSubscribers.delete(session);
    return SUCCESS;
  }
  const pattern = connection.services.mapping.patternOf(filter);
  const present = session.subscriptions.get(pattern);
  if (present === undefined) return NO_SUBSCRIPTION_EXISTED;
  host.vhost.unbind(MQTT_EXCHANGE, session.queueFor(present.qos), pattern, argumentsOf(present));
  session.subscriptions.delete(pattern);
  return SUCCESS;
}
