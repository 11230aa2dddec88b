// A session: what is known of a client beyond its connection. Its subscriptions are bindings of its queues, one for
// QoS 0, which keeps nothing, and one for QoS 1 and 2, in which messages wait for the client.

import { type Arguments, type ArgumentValue, NO_ARGUMENTS } from "../core/arguments.ts";
import { DirectQueue } from "../core/direct_queue.ts";
import { Queue } from "../core/queue.ts";
import { Refusal } from "../core/refusal.ts";
import type { Timer } from "../core/timers.ts";
import type { Session as Login } from "../core/identity/session.ts";
import type { WillFields } from "../wire/mqtt_decode.ts";
import type { MqttConnection } from "./connection.ts";
import type { MqttHost } from "./host.ts";
import type { InFlight } from "./in_flight.ts";
import type { ReceivedId } from "./received_ids.ts";
import { DirectConsumer, QueueConsumer } from "./outgoing.ts";
import type { Share } from "./shares.ts";
import { type Matched, type SubscriptionOptions, Subscriptions } from "./subscriptions.ts";

/** Session expiry interval: it never ends. */
export const NEVER = 0xffffffff;

/** As RabbitMQ names the queues of a client. */
export function queueName(clientId: string, qos: 0 | 1): string {
  return `mqtt-subscription-${clientId}qos${qos}`;
}

/** A session's part in a shared subscription. */
export interface Membership {
  readonly share: Share;
  readonly options: SubscriptionOptions;
  readonly consumer: QueueConsumer;
}

export class Session {
  readonly host: MqttHost;
  readonly clientId: string;
  /** Who connected last, and what that user may do; null in a process in which nobody has yet. */
  login: Login | null = null;
  /** It outlives its connection, and a restart of the broker. */
  readonly durable: boolean;
  /** Seconds after the connection's end; NEVER for ever. */
  expirySeconds: number;
  connection: MqttConnection | null = null;
  readonly subscriptions = new Subscriptions();
  /** By filter, `$share/group/` included. */
  shares: Map<string, Membership> | null = null;
  /** Subscriptions to $SYS topics, by filter. */
  system: Map<string, SubscriptionOptions> | null = null;
  queue: Queue | null = null;
  directQueue: DirectQueue | null = null;
  /** What the client has not acknowledged. */
  inFlight: InFlight | null = null;
  will: WillFields | null = null;
  willTimer: Timer | null = null;
  expiryTimer: Timer | null = null;
  ended = false;
  /** Identifiers of messages with QoS 2 that we have and the client has not released. */
  #received: Map<number, ReceivedId | null> | null = null;
  #consumer: QueueConsumer | null = null;
  #directConsumer: DirectConsumer | null = null;

  constructor(host: MqttHost, clientId: string, durable: boolean, expirySeconds: number) {
    this.host = host;
    this.clientId = clientId;
    this.durable = durable;
    this.expirySeconds = expirySeconds;
  }

  // QoS 2 from the client

  /** Whether a message with this identifier is ours already; `dup` as it came. */
  hasReceived(id: number, dup: boolean): boolean {
    const received = this.#received?.get(id);
    if (received === undefined) return false;
    if (received === null || !received.recovered || dup) return true;
    this.release(id);
    return false;
  }

  /** A message with QoS 2 is ours from now on. Returns whether that is to be on disk before it is said. */
  receive(id: number): boolean {
    const received = this.durable ? this.host.receivedIds.add(this.clientId, id) : null;
    (this.#received ??= new Map()).set(id, received);
    return this.durable;
  }

  /** One of an earlier process. */
  restoreReceived(received: ReceivedId): void {
    (this.#received ??= new Map()).set(received.id, received);
  }

  /** PUBREL: false when there is no such message. */
  release(id: number): boolean {
    const received = this.#received?.get(id);
    if (received === undefined) return false;
    this.#received!.delete(id);
    if (received !== null) this.host.receivedIds.remove(received);
    return true;
  }

  /** The session ends: nothing is expected to be released any more. */
  releaseAll(): void {
    for (const id of [...this.#received?.keys() ?? []]) this.release(id);
  }

  get receivedCount(): number {
    return this.#received?.size ?? 0;
  }

  // Queues

  /** The queue for a subscription with this QoS, made when it is not there. */
  queueFor(qos: number): Queue | DirectQueue {
    return qos === 0 ? this.#ensureDirectQueue() : this.#ensureQueue();
  }

  #ensureDirectQueue(): DirectQueue {
    if (this.directQueue !== null) return this.directQueue;
    const name = queueName(this.clientId, 0);
    const queue = this.host.vhost.declareDirectQueue(name, this.durable, this.durable ? null : this);
    if (!(queue instanceof DirectQueue) || queue.owner !== (this.durable ? null : this)) throw foreign(name);
    this.directQueue = queue;
    if (this.connection !== null) this.#attachDirect();
    return queue;
  }

  #ensureQueue(): Queue {
    if (this.queue !== null) return this.queue;
    const { vhost, queueArguments } = this.host;
    const name = queueName(this.clientId, 1);
    const { durable } = this;
    const present = vhost.queues.get(name);
    if (present === undefined) {
      vhost.declareQueue(name, { durable, autoDelete: false, exclusive: !durable, args: queueArguments }, this);
    }
    const queue = vhost.queues.get(name);
    if (!(queue instanceof Queue) || queue.owner !== (durable ? null : this)) throw foreign(name);
    this.queue = queue;
    if (this.connection !== null) this.#attachQueue();
    return queue;
  }

  /** Takes up queues that are there already: after a restart, or when somebody has deleted one. */
  adoptQueues(): void {
    const { vhost } = this.host;
    const queue = vhost.queues.get(queueName(this.clientId, 1));
    const direct = vhost.queues.get(queueName(this.clientId, 0));
    if (this.queue !== null && this.queue !== queue) this.queueGone(this.queue);
    if (this.directQueue !== null && this.directQueue !== direct) this.queueGone(null);
    this.queue = queue instanceof Queue ? queue : null;
    this.directQueue = direct instanceof DirectQueue ? direct : null;
  }

  // The connection

  /** From now on deliveries go to the connection. */
  attach(connection: MqttConnection): void {
    this.connection = connection;
    if (this.directQueue !== null) this.#attachDirect();
    if (this.queue !== null) this.#attachQueue();
    for (const { share, consumer } of this.shares?.values() ?? []) share.queue.addConsumer(consumer, share.name);
  }

  detach(): void {
    this.connection = null;
    if (this.#directConsumer !== null) this.directQueue?.removeConsumer(this.#directConsumer);
    if (this.#consumer !== null) this.queue?.removeConsumer(this.#consumer);
    this.#directConsumer = null;
    this.#consumer = null;
    for (const { share, consumer } of this.shares?.values() ?? []) share.queue.removeConsumer(consumer);
  }

  #attachDirect(): void {
    this.#directConsumer = new DirectConsumer(this);
    this.directQueue!.addConsumer(this.#directConsumer, this.directQueue!.name);
  }

  #attachQueue(): void {
    const queue = this.queue!;
    this.#consumer = new QueueConsumer(this, queue, null);
    queue.addConsumer(this.#consumer, queue.name);
  }

  /** The client takes messages again. Hot. */
  wake(): void {
    this.queue?.wake();
    if (this.shares !== null) { for (const { share } of this.shares.values()) share.queue.wake(); }
  }

  /** What a shared queue's messages are delivered by; null for the session's own. */
  matchedOf(queue: Queue): Matched | null {
    if (queue === this.queue || this.shares === null) return null;
    for (const { consumer } of this.shares.values()) if (consumer.queue === queue) return consumer.matched;
    return null;
  }

  /** Somebody has deleted a queue of ours: its subscriptions went with it. */
  queueGone(queue: Queue | null): void {
    if (this.ended) return;
    if (queue === null) this.directQueue = this.#directConsumer = null;
    else if (queue === this.queue) this.queue = this.#consumer = null;
    for (const { pattern, qos } of [...this.subscriptions.values()]) {
      if ((qos === 0) === (queue === null)) this.subscriptions.delete(pattern);
    }
    this.connection?.deleted();
  }
}

export function limitArguments(queuedMax: number): Arguments {
  if (queuedMax === 0) return NO_ARGUMENTS;
  return new Map<string, ArgumentValue>([["x-max-length", queuedMax]]);
}

function foreign(name: string): Refusal {
  return new Refusal("resource-locked", `queue '${name}' is there and belongs to somebody else`);
}
