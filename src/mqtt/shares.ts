// Shared subscriptions: one queue for each group and filter, from which the connected members take in turn. What a member
// has not acknowledged stays with it until its session ends, and then goes back to the others.

import { NO_ARGUMENTS } from "../core/arguments.ts";
import { Queue } from "../core/queue.ts";
import { Refusal } from "../core/refusal.ts";
import type { MqttHost } from "./host.ts";
import { QueueConsumer } from "./outgoing.ts";
import { MQTT_EXCHANGE } from "./publication.ts";
import type { Membership, Session } from "./session.ts";
import type { SubscriptionOptions } from "./subscriptions.ts";

/** A name of a queue is a short string. */
const NAME_BYTES_MAX = 255;
const PREFIX = "mqtt-shared-";

export class Share {
  readonly name: string;
  readonly queue: Queue;
  readonly members = new Set<Session>();

  constructor(name: string, queue: Queue) {
    this.name = name;
    this.queue = queue;
  }
}

export class Shares {
  readonly #host: MqttHost;
  readonly #byName = new Map<string, Share>();

  constructor(host: MqttHost) {
    this.#host = host;
  }

  get count(): number {
    return this.#byName.size;
  }

  /** Null when the names are too long for a queue's. */
  join(
    session: Session,
    filter: string,
    group: string,
    pattern: string,
    options: SubscriptionOptions,
  ): Membership | null {
    const name = shareName(group, pattern);
    if (Buffer.byteLength(name) > NAME_BYTES_MAX) return null;
    const share = this.#byName.get(name) ?? this.#declare(name, pattern);
    share.members.add(session);
    const { qos, retainAsPublished, id } = options;
    const matched = { qos, retainAsPublished, ids: id === 0 ? null : [id] };
    const membership = { share, options, consumer: new QueueConsumer(session, share.queue, matched) };
    (session.shares ??= new Map()).set(filter, membership);
    if (session.connection !== null) share.queue.addConsumer(membership.consumer, name);
    return membership;
  }

  #declare(name: string, pattern: string): Share {
    const { vhost, queueArguments } = this.#host;
    if (!vhost.queues.has(name)) {
      const declaration = { durable: true, autoDelete: false, exclusive: false, args: queueArguments };
      vhost.declareQueue(name, declaration, this);
    }
    const queue = vhost.queues.get(name);
    if (!(queue instanceof Queue) || queue.owner !== null) {
      throw new Refusal("resource-locked", `queue '${name}' is there and belongs to somebody else`);
    }
    vhost.bind(MQTT_EXCHANGE, queue, pattern, NO_ARGUMENTS);
    const share = new Share(name, queue);
    this.#byName.set(name, share);
    return share;
  }

  /** A member leaves; with the last one the queue goes. False when it was none. */
  leave(session: Session, filter: string): boolean {
    const membership = session.shares?.get(filter);
    if (membership === undefined) return false;
    session.shares!.delete(filter);
    const { share, consumer } = membership;
    share.queue.removeConsumer(consumer);
    share.members.delete(session);
    if (share.members.size > 0) return true;
    this.#byName.delete(share.name);
    this.#host.vhost.removeQueue(share.queue);
    return true;
  }

  /** After a restart, when all sessions have joined: queues of groups without members are of no use. */
  removeStray(): void {
    for (const queue of [...this.#host.vhost.queues.values()]) {
      if (!queue.name.startsWith(PREFIX) || this.#byName.has(queue.name)) continue;
      if (queue instanceof Queue && queue.logged) this.#host.vhost.removeQueue(queue);
    }
  }
}

export function shareName(group: string, pattern: string): string {
  return `${PREFIX}${group}/${pattern}`;
}
