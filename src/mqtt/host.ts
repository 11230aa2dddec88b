// MQTT's part of a virtual host: who has a session, from its first connection to its end, and the wills that go out in
// between. What outlives the process stands in the virtual host's records and bindings.

import type { Arguments } from "../core/arguments.ts";
import type { ChannelCounters } from "../core/statistics/counters.ts";
import type { Target } from "../core/target.ts";
import type { Timers } from "../core/timers.ts";
import type { VirtualHost } from "../core/virtual_host.ts";
import type { ConnectPacket } from "../wire/mqtt_decode.ts";
import type { WillFields } from "../wire/mqtt_decode.ts";
import { NO_PROPERTIES } from "../wire/mqtt_properties.ts";
import { isAllowed } from "./authorize.ts";
import { EXPECTS_PUBACK, FREE } from "./in_flight.ts";
import { MQTT_EXCHANGE, Publication } from "./publication.ts";
import type { ReceivedIds } from "./received_ids.ts";
import type { RetainedMessages } from "./retained.ts";
import { limitArguments, NEVER, Session } from "./session.ts";
import { Shares } from "./shares.ts";
import { optionsOf, type SubscriptionOptions } from "./subscriptions.ts";
import { takeUp } from "./take_up.ts";
import type { TopicMapping } from "./topics.ts";
import type { Traffic } from "./traffic.ts";

/** Sessions in the virtual host's records. */
const SESSION = "mqtt-session";

export interface HostServices {
  readonly timers: Timers;
  /** What counts for the virtual host. */
  readonly counters: ChannelCounters;
  readonly traffic: Traffic;
  readonly mapping: TopicMapping;
  readonly retained: RetainedMessages;
  readonly receivedIds: ReceivedIds;
  /** Messages that wait for one session; 0 for any number. */
  readonly queuedMax: number;
}

/** A session as it is kept. */
interface SessionRecord {
  readonly expiry: number;
  /** When it ends, milliseconds since 1970; not there while it is connected or lasts for ever. */
  readonly endsMs?: number;
  /** Shared subscriptions and those to $SYS: filter and options. */
  readonly other?: readonly (readonly [filter: string, options: SubscriptionOptions])[];
}

export class MqttHost {
  readonly vhost: VirtualHost;
  readonly sessions = new Map<string, Session>();
  readonly counters: ChannelCounters;
  readonly shares: Shares;
  readonly retained: RetainedMessages;
  readonly receivedIds: ReceivedIds;
  readonly queueArguments: Arguments;
  /** Sessions that have subscribed to $SYS topics. */
  readonly systemSubscribers = new Set<Session>();
  readonly #services: HostServices;
  readonly #publication: Publication;

  constructor(vhost: VirtualHost, services: HostServices) {
    this.vhost = vhost;
    this.#services = services;
    this.counters = services.counters;
    this.retained = services.retained;
    this.receivedIds = services.receivedIds;
    this.queueArguments = limitArguments(services.queuedMax);
    this.shares = new Shares(this);
    this.#publication = new Publication(services.mapping);
    this.#restore();
  }

  get subscriptionCount(): number {
    let count = 0;
    for (const { subscriptions, shares, system } of this.sessions.values()) {
      count += subscriptions.size + (shares?.size ?? 0) + (system?.size ?? 0);
    }
    return count;
  }

  // Opening and ending sessions

  /** A client's session; one that stands there as queues alone is taken up. */
  find(clientId: string): Session | undefined {
    const present = this.sessions.get(clientId);
    if (present !== undefined) return present;
    const session = takeUp(this, clientId);
    if (session === undefined) return undefined;
    this.sessions.set(clientId, session);
    this.keep(session);
    return session;
  }

  /** The session of a client that connects: the one that is there, unless it wants a new one. */
  open(packet: ConnectPacket, clientId: string, expiry: number): { session: Session; present: boolean } {
    this.sessions.get(clientId)?.connection?.takenOver();
    let session = this.find(clientId);
    if (session !== undefined && packet.cleanStart) {
      this.end(session);
      session = undefined;
    }
    const present = session !== undefined;
    if (session === undefined) {
      session = new Session(this, clientId, expiry > 0, expiry);
      this.sessions.set(clientId, session);
    } else {
      this.#cancelTimers(session);
      session.adoptQueues();
    }
    session.expirySeconds = expiry;
    session.will = packet.will;
    this.keep(session);
    return { session, present };
  }

  #cancelTimers(session: Session): void {
    session.willTimer?.cancel();
    session.willTimer = null;
    session.expiryTimer?.cancel();
    session.expiryTimer = null;
  }

  /** The session's connection has ended; `withWill` unless the client said goodbye. */
  leave(session: Session, withWill: boolean): void {
    session.detach();
    const { will, expirySeconds } = session;
    if (!withWill) session.will = null;
    if (expirySeconds === 0) return this.end(session);
    if (withWill && will !== null) this.#delayWill(session, will);
    if (expirySeconds !== NEVER) this.#expireIn(session, expirySeconds * 1000);
    this.keep(session);
  }

  #delayWill(session: Session, will: WillFields): void {
    const delay = Math.min(will.properties.willDelay ?? 0, session.expirySeconds);
    if (delay === 0) return this.#publishWill(session);
    session.willTimer = this.#services.timers.after(delay * 1000, () => this.#publishWill(session));
  }

  #expireIn(session: Session, delayMs: number): void {
    session.expiryTimer = this.#services.timers.after(delayMs, () => {
      this.#services.traffic.sessionsExpired++;
      this.end(session);
    });
  }

  /** A session ends for good: a will that waits goes out, queues and what they hold go. Its connection is gone already. */
  end(session: Session): void {
    if (session.ended) return;
    this.#publishWill(session);
    session.ended = true;
    this.#cancelTimers(session);
    this.sessions.delete(session.clientId);
    this.systemSubscribers.delete(session);
    this.#giveBack(session);
    session.releaseAll();
    for (const filter of [...session.shares?.keys() ?? []]) this.shares.leave(session, filter);
    const { queue, directQueue } = session;
    if (queue !== null) this.vhost.removeQueue(queue);
    if (directQueue !== null) this.vhost.removeQueue(directQueue);
    this.vhost.records.delete(SESSION, session.clientId);
  }

  /** What the client had of shared queues: with QoS 1 others get it, with QoS 2 nobody may [MQTT-4.8.2-5]. */
  #giveBack({ inFlight, queue: own }: Session): void {
    if (inFlight === null) return;
    for (let tag = inFlight.first; tag < inFlight.next; tag++) {
      const state = inFlight.stateOf(tag);
      const { queue, position, recordBytes, bodyBytes } = inFlight.sentAt(tag);
      if (state === FREE || queue === null || queue === own || queue.gone) continue;
      if (state === EXPECTS_PUBACK) queue.requeue(position, bodyBytes);
      else queue.settle(position, recordBytes, bodyBytes);
    }
  }

  /** The virtual host was deleted, and all queues with it. */
  destroy(): void {
    for (const session of this.sessions.values()) {
      session.ended = true;
      this.#cancelTimers(session);
    }
    this.sessions.clear();
    this.systemSubscribers.clear();
    this.retained.destroy();
    this.receivedIds.destroy();
  }

  /** See `VirtualHost.cool`. */
  cool(): void {
    this.retained.cool();
    this.receivedIds.cool();
  }

  /** Closes the stores. */
  close(): void {
    this.retained.close();
    this.receivedIds.close();
  }

  // Wills

  #publishWill(session: Session): void {
    const { will } = session;
    session.will = null;
    session.willTimer?.cancel();
    session.willTimer = null;
    if (will === null) return;
    const publication = this.#publication;
    publication.setTopicText(will.topic);
    const { routingKey } = publication;
    if (session.login === null || !isAllowed(session.login, { kind: "publish", routingKey })) return;
    const { willDelay: _, ...properties } = will.properties;
    const given = will.properties === NO_PROPERTIES ? null : properties;
    const { payload, qos, retain } = will;
    const message = publication.fill(qos, retain, given, payload, 0, payload.length, Date.now());
    if (retain) this.retained.set(routingKey, message);
    const { queues, remember } = this.vhost.route(MQTT_EXCHANGE, [routingKey], message);
    let refused = false;
    for (const target of queues) if (!target.publish(message)) refused = true;
    if (!refused) remember?.();
  }

  // Routing

  /** Without the queues of a client that does not want to hear what it says itself [MQTT-3.8.3-3]. */
  withoutEcho(session: Session, routingKey: string, targets: readonly Target[]): readonly Target[] {
    const { subscriptions, queue, directQueue } = session;
    const own = (target: Target): boolean => target === queue || target === directQueue;
    if (!targets.some(own)) return targets;
    if (subscriptions.matchKey(routingKey, ({ noLocal }) => noLocal) === null) return targets;
    if (subscriptions.matchKey(routingKey, ({ noLocal }) => !noLocal) !== null) return targets;
    return targets.filter((target) => !own(target));
  }

  // Keeping

  /** Writes down what has changed of a session that outlives the process. */
  keep(session: Session): void {
    if (!session.durable || session.ended) return;
    const record = recordOf(session);
    const present = this.vhost.records.of(SESSION).get(session.clientId);
    if (JSON.stringify(present) !== JSON.stringify(record)) this.vhost.records.set(SESSION, session.clientId, record);
  }

  #restore(): void {
    const nowMs = Date.now();
    for (const [clientId, value] of [...this.vhost.records.of(SESSION)]) {
      const record = value as unknown as SessionRecord;
      const session = new Session(this, clientId, true, record.expiry);
      this.sessions.set(clientId, session);
      session.adoptQueues();
      this.#restoreSubscriptions(session, record);
      if (record.expiry === NEVER) continue;
      this.#expireIn(session, Math.max(0, (record.endsMs ?? nowMs + record.expiry * 1000) - nowMs));
      this.keep(session);
    }
    this.shares.removeStray();
    this.receivedIds.restore((received) => {
      const session = this.sessions.get(received.clientId);
      session?.restoreReceived(received);
      return session !== undefined;
    });
  }

  #restoreSubscriptions(session: Session, { other }: SessionRecord): void {
    for (const [queue, qos] of [[session.queue, 1], [session.directQueue, 0]] as const) {
      for (const { source, routingKey, args } of queue?.boundFrom ?? []) {
        if (source.name !== MQTT_EXCHANGE) continue;
        session.subscriptions.set({ pattern: routingKey, ...optionsOf(args, qos) });
      }
    }
    for (const [filter, options] of other ?? []) {
      const parts = /^\$share\/([^/]+)\/(.*)$/s.exec(filter);
      if (parts === null) this.subscribeToSystem(session, filter, options);
      else this.shares.join(session, filter, parts[1]!, this.#services.mapping.patternOf(parts[2]!), options);
    }
  }

  subscribeToSystem(session: Session, filter: string, options: SubscriptionOptions): void {
    (session.system ??= new Map()).set(filter, options);
    this.systemSubscribers.add(session);
  }
}

function recordOf(session: Session): Record<string, unknown> {
  const { expirySeconds, expiryTimer, shares, system } = session;
  const other = [
    ...[...shares ?? []].map(([filter, { options }]) => [filter, options]),
    ...system ?? [],
  ];
  const endsMs = expiryTimer === null ? {} : { endsMs: Date.now() + expirySeconds * 1000 };
  return { expiry: expirySeconds, ...endsMs, ...(other.length === 0 ? {} : { other }) };
}
