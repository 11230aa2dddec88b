// A queue: messages in their store, consumers in turn, and who may use it. Knows no protocol: a consumer is whoever
// takes deliveries.

import { steadyMs } from "../lib/clock.ts";
import type { Message as MessageType } from "../store/message.ts";
import { Message, MESSAGE_EXPIRES } from "../store/message.ts";
import type { MessageStore } from "../store/message_store.ts";
import { StoreFault } from "../store/store_event.ts";
import type { AnyQueue, MessageGetter, Source } from "./any_queue.ts";
import type { Arguments } from "./arguments.ts";
import type { Consumer, Owner } from "./consumer.ts";
import { checkConsumers, ConsumerRota } from "./consumer_rota.ts";
import type { Deduplication } from "./deduplication.ts";
import { DeliveryCounts } from "./delivery_counts.ts";
import type { Binding } from "./exchange.ts";
import { isExpired } from "./expiration.ts";
import { Expiry } from "./expiry.ts";
import { Lease } from "./lease.ts";
import { readHeaders } from "./message_headers.ts";
import { type Observer, Observers } from "./observers.ts";
import { Pace, type Waiter } from "./pace.ts";
import type { EffectivePolicy } from "./policies/policy.ts";
import type { QueueServices } from "./queue_services.ts";
import { QueueSettings } from "./queue_settings.ts";
import { QueueCounters } from "./statistics/counters.ts";
import type { Servable, Turn } from "./turn.ts";
import type { DeathReason } from "./x_death.ts";

/** Bytes of records that a queue delivers before other work has its turn: more than one chunk of a socket brings in. */
const SERVE_BYTES_MAX = 1024 * 1024;
/** Messages past their time that a queue drops before other work has its turn. */
const SERVE_DROPS_MAX = 1024;

/** How far the dropping of what has expired came. */
type Dropping = typeof DONE | typeof MORE | typeof HELD;
const DONE = 0;
const MORE = 1;
/** Too many dead letters are under way: the queue is woken when it may go on. */
const HELD = 2;

export type { Consumer, Owner } from "./consumer.ts";

/** The position of a message that went straight to a consumer. */
const NOWHERE = -1;

/** A message is looked at within one call, so one is enough for all queues. */
const SCRATCH = new Message();

export interface QueueOptions {
  readonly durable: boolean;
  readonly autoDelete: boolean;
  /** The connection that alone may use it, or null. */
  readonly owner: Owner | null;
  readonly args: Arguments;
  readonly settings: QueueSettings;
  readonly policy: EffectivePolicy | null;
  readonly deduplication: Deduplication | null;
}

export class Queue implements AnyQueue, MessageGetter, Servable {
  // What each message looks at comes first: with thousands of queues in turn it matters that it lies together.
  /** Deleted: takes and gives nothing any more. */
  gone = false;
  /** Messages have a time to live, there is a limit, or somebody looks on: more has to be done than to deliver. */
  #ruled = false;
  /** Its consumers settle by taking: what comes while nothing waits goes straight on, and is never stored. */
  #passesOn = false;
  /** The only one of them. */
  #soleConsumer: Consumer | null = null;
  readonly store: MessageStore;
  readonly counters: QueueCounters;
  readonly kind = "queue";
  readonly keepsAll = false;
  readonly name: string;
  readonly id: number;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly owner: Owner | null;
  readonly args: Arguments;
  settings: QueueSettings;
  policy: EffectivePolicy | null = null;
  readonly boundFrom = new Set<Binding>();
  readonly consumers: readonly Consumer[];
  /** Used since the last housekeeping; see `WarmQueues`. */
  warm = false;
  /** An operator holds its messages back: nobody is given any, publishing goes on. */
  #paused = false;
  #queued = false;
  /** Consumers that acknowledge. */
  #acknowledging = 0;
  #observers: Observers | null = null;
  #expiry: Expiry | null = null;
  /** Recovered with messages whose time may be over, and not looked at yet. */
  #unseen = false;
  #maxLength = Infinity;
  #maxLengthBytes = Infinity;
  #counts: DeliveryCounts | null = null;
  #lease: Lease | null = null;
  #pace: Pace | null = null;
  readonly #deduplication: Deduplication | null;
  readonly #rota: ConsumerRota<Consumer>;
  readonly #services: QueueServices;
  readonly #turn: Turn;

  constructor(name: string, id: number, options: QueueOptions, store: MessageStore, services: QueueServices) {
    const { settings } = options;
    this.name = name;
    this.id = id;
    this.durable = options.durable;
    this.autoDelete = options.autoDelete;
    this.owner = options.owner;
    this.args = options.args;
    this.settings = settings;
    this.store = store;
    this.counters = new QueueCounters(store);
    this.#services = services;
    this.#turn = services.turn;
    this.#rota = new ConsumerRota(settings.singleActiveConsumer);
    this.consumers = this.#rota.all;
    this.#deduplication = options.deduplication;
    this.policy = options.policy;
    this.#applySettings(store.recoveredExpiring);
    this.#unseen = this.#expiry !== null && store.readyCount > 0;
    if (this.#ruled) this.wake();
  }

  configure(policy: EffectivePolicy | null): void {
    const { expiresMs } = this.settings;
    this.policy = policy;
    this.settings = QueueSettings.of(this.args, this.name, policy?.definition);
    if (this.settings.expiresMs !== expiresMs) this.#endLease();
    this.#applySettings(this.#expiry !== null);
    // What is beyond a new limit goes now, whoever it is that looks at the queue next.
    this.wake();
  }

  #applySettings(hasExpiring: boolean): void {
    const { settings, store } = this;
    const services = this.#services;
    this.#maxLength = settings.maxLength ?? Infinity;
    this.#maxLengthBytes = settings.maxLengthBytes ?? Infinity;
    this.#ruled = settings.bounded || this.#deduplication !== null || this.#observers !== null;
    if (!settings.countsDeliveries) this.#counts = null;
    else if (this.#counts === null) this.#counts = new DeliveryCounts(store, settings.deliveryLimit);
    else this.#counts.limit = settings.deliveryLimit;
    if (settings.expiresMs !== null) {
      this.#lease ??= new Lease(settings.expiresMs, services.timers, {
        inUse: () => this.consumers.length > 0,
        onEnd: () => services.expired(this),
      });
    }
    if (settings.messageTtlMs !== null || hasExpiring) this.#expires().changeTtl(settings.messageTtlMs);
  }

  #endLease(): void {
    this.#lease?.close();
    this.#lease = null;
  }

  /** It and its messages are to survive a restart. */
  get logged(): boolean {
    return this.durable && this.owner === null;
  }

  /** Takes a message in; false when it refuses to. Hot. */
  publish(message: MessageType): boolean {
    if (this.gone) return true;
    if (this.#ruled || (message.flags & MESSAGE_EXPIRES) !== 0) return this.#publishRuled(message);
    if (this.#passesOn && this.store.readyCount === 0 && this.#passOn(message)) return true;
    this.store.append(message);
    this.counters.publish++;
    if (!this.warm) this.#services.warmed(this);
    if (this.consumers.length > 0) this.wake();
    return true;
  }

  /** False when no consumer takes it now. Hot. */
  #passOn(message: MessageType): boolean {
    const sole = this.#soleConsumer;
    const consumer = sole === null ? this.#rota.pick() : sole.ready() ? sole : null;
    if (consumer === null) return false;
    message.position = NOWHERE;
    message.redelivered = false;
    this.counters.publish++;
    consumer.deliver(message);
    return true;
  }

  /** They are others, or the queue was paused or resumed. */
  #consumersChanged(): void {
    const { consumers } = this;
    this.#passesOn = !this.#paused && consumers.length > 0 && this.#acknowledging === 0;
    this.#soleConsumer = consumers.length === 1 ? consumers[0]! : null;
  }

  makesWait(publisher: Waiter): boolean {
    const { readyCount } = this.store;
    if (this.consumers.length === 0 || this.#paused || this.gone) return false;
    if (this.#pace === null && Pace.isNear(readyCount)) return false;
    this.#pace ??= new Pace(this.#services.timers);
    return this.#pace.holds(publisher, readyCount, this.counters.given);
  }

  #publishRuled(message: MessageType): boolean {
    const { overflow } = this.settings;
    if (overflow !== "drop-head" && !this.#hasRoom(message.bodyBytes)) {
      if (overflow === "reject-publish-dlx" && this.settings.deadLetterExchange !== null) {
        this.#services.deadLetters.takeRefused(this, message);
      }
      return false;
    }
    const headers = this.#deduplication === null ? null : readHeaders(message);
    const key = this.#deduplication?.keyOf(headers) ?? null;
    if (key !== null && this.#deduplication!.isKnown(key, message.timestampMs)) return true;
    if ((message.flags & MESSAGE_EXPIRES) !== 0) this.#expires();
    this.store.append(message);
    this.counters.publish++;
    // Only now: what a full disk refuses is published again.
    if (key !== null) this.#deduplication!.remember(key, headers, message.timestampMs);
    if (!this.warm) this.#services.warmed(this);
    this.#expiry?.arrived(message);
    this.#observers?.saw(message);
    this.wake();
    return true;
  }

  /** Whether a queue that refuses what it has no room for takes one more. */
  #hasRoom(bodyBytes: number): boolean {
    if (!this.#isOver(1, bodyBytes)) return true;
    // What came in this turn has not been offered yet to those who wait.
    this.dropExpired();
    this.#serveConsumers(steadyMs());
    return !this.#isOver(1, bodyBytes);
  }

  #isOver(more: number, moreBytes: number): boolean {
    const { readyCount, readyBytes } = this.store;
    return readyCount + more > this.#maxLength || readyBytes + moreBytes > this.#maxLengthBytes;
  }

  #expires(): Expiry {
    this.#ruled = true;
    return this.#expiry ??= new Expiry(this.settings.messageTtlMs, this.#services.timers, () => this.wake());
  }

  /** Serves the consumers at the end of this turn, if there is something to deliver. Hot; idempotent. */
  wake(): void {
    if (this.#queued || this.gone || this.store.readyCount === 0) return;
    this.#queued = true;
    this.#turn.serveLater(this);
  }

  serve(): boolean {
    this.#queued = false;
    if (this.gone) return false;
    if (!this.warm) this.#services.warmed(this);
    const nowMs = this.#expiry === null ? 0 : this.#expiry.takeNow();
    if (this.#expiry !== null) {
      const dropping = this.#dropExpired(nowMs, SERVE_DROPS_MAX);
      if (dropping !== DONE) return this.#queued = dropping === MORE;
    }
    this.#queued = this.#serveConsumers(nowMs);
    this.#pace?.served(this.store.readyCount, this.counters.given);
    if (!this.#queued && this.#ruled) this.#tidy();
    return this.#queued;
  }

  /** True when it stopped at its budget and has more. */
  #serveConsumers(nowMs: number): boolean {
    const { store } = this;
    const rota = this.#rota;
    const message = SCRATCH;
    const counts = this.#counts;
    const hasTtl = this.settings.messageTtlMs !== null;
    let bytes = SERVE_BYTES_MAX;
    if (this.#paused) return false;
    while (store.readyCount > 0) {
      if (bytes <= 0) return true;
      const consumer = rota.pick();
      if (consumer === null || !store.next(message)) return false;
      bytes -= message.recordBytes;
      if ((hasTtl || (message.flags & MESSAGE_EXPIRES) !== 0) && this.#isExpired(message, nowMs)) {
        this.#drop(message, "expired");
        continue;
      }
      if (counts !== null && message.redelivered) counts.tell(message);
      consumer.deliver(message);
    }
    return false;
  }

  /** After the consumers have had their share: keeps the limits, and an eye on the head's time. */
  #tidy(): void {
    const { store } = this;
    const message = SCRATCH;
    if (this.settings.overflow === "drop-head") {
      while (store.readyCount > 0 && this.#isOver(0, 0) && store.next(message)) this.#drop(message, "maxlen");
    }
    this.#expiry?.watch(store.readyCount > 0 && store.peek(message) ? message : null);
    if (!this.#unseen) return;
    this.#unseen = false;
    // Nobody has asked for it: thousands of queues are looked at in the same turn.
    if (this.consumers.length === 0) store.cool();
  }

  #isExpired(message: MessageType, nowMs: number): boolean {
    return this.#expiry === null ? isExpired(message, steadyMs()) : this.#expiry.isExpired(message, nowMs);
  }

  /** Gives one message to a client that asks for it; null when none is ready. The caller settles or requeues it. */
  get(): MessageType | null {
    this.#lease?.renew();
    const message = SCRATCH;
    if (this.#paused || !this.#settleHead() || !this.store.next(message)) return null;
    if (message.redelivered) this.#counts?.tell(message);
    // Another is at the head.
    if (this.#ruled) this.wake();
    return message;
  }

  get getter(): MessageGetter {
    return this;
  }

  /** Messages that are ready. */
  get messageCount(): number {
    this.#settleHead();
    return this.store.readyCount;
  }

  /** What the end of the turn would drop; false when it cannot be told yet. */
  #settleHead(): boolean {
    if (!this.dropExpired()) return false;
    if (this.#ruled && this.consumers.length === 0) this.#tidy();
    return true;
  }

  /**
   * Settles the expired messages at the head; false when it had to stop. Those behind one that lives wait for their turn
   * to be delivered: as with RabbitMQ they go when they come to the head.
   */
  dropExpired(): boolean {
    if (!this.warm) this.#services.warmed(this);
    return this.#dropExpired(steadyMs(), Infinity) === DONE;
  }

  #dropExpired(nowMs: number, most: number): Dropping {
    const { store } = this;
    const message = SCRATCH;
    const hasTtl = this.settings.messageTtlMs !== null;
    const toExchange = this.settings.deadLetterExchange !== null;
    let left = most;
    while (store.readyCount > 0 && store.peek(message)) {
      if (!hasTtl && (message.flags & MESSAGE_EXPIRES) === 0) return DONE;
      if (!this.#isExpired(message, nowMs)) return DONE;
      if (left-- === 0) return MORE;
      if (toExchange && !this.#services.deadLetters.hasRoom(this)) return HELD;
      if (store.next(message)) this.#drop(message, "expired");
    }
    return DONE;
  }

  /** An unacked message leaves the queue without having been consumed. */
  #drop({ position, recordBytes, bodyBytes }: MessageType, reason: DeathReason): void {
    this.#bury(position, recordBytes, bodyBytes, reason);
  }

  #bury(position: number, recordBytes: number, bodyBytes: number, reason: DeathReason): void {
    if (this.settings.deadLetterExchange === null) return this.settle(position, recordBytes, bodyBytes);
    this.#services.deadLetters.take(this, position, recordBytes, bodyBytes, reason);
  }

  /** Hot. */
  settle(position: number, recordBytes: number, bodyBytes: number): void {
    if (this.gone || position === NOWHERE) return;
    this.store.settle(position, recordBytes, bodyBytes);
    if (this.#counts !== null) this.#counts.forget(position);
  }

  /** A consumer wants it no more: basic.reject or basic.nack without requeue. */
  reject(position: number, recordBytes: number, bodyBytes: number): void {
    if (!this.gone) this.#bury(position, recordBytes, bodyBytes, "rejected");
  }

  requeue(position: number, bodyBytes: number): void {
    if (this.gone) return;
    if (this.#counts !== null && !this.#counts.add(position) && this.#buryAt(position)) return;
    this.store.requeue(position, bodyBytes);
    this.wake();
  }

  /** Given back once too often; false when it is damaged, which its next delivery will find. */
  #buryAt(position: number): boolean {
    const message = SCRATCH;
    try {
      this.store.read(position, message);
    } catch (fault) {
      if (fault instanceof StoreFault) return false;
      throw fault;
    }
    this.#drop(message, "delivery_limit");
    return true;
  }

  /** Settles everything that is ready; returns how many. */
  purge(): number {
    const count = this.store.purge();
    this.#counts?.purged();
    this.#pace?.served(this.store.readyCount, this.counters.given);
    return count;
  }

  /** Somebody declared it again. */
  renew(): void {
    this.#lease?.renew();
  }

  /** With x-single-active-consumer: the one that is served. */
  get activeConsumer(): Consumer | null {
    return this.#rota.active;
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** See `VirtualHost.setPaused`, which remembers it. */
  pause(): void {
    this.#paused = true;
    this.#consumersChanged();
    this.#pace?.close();
  }

  resume(): void {
    this.#paused = false;
    this.#consumersChanged();
    this.wake();
  }

  observe(observer: Observer): () => void {
    (this.#observers ??= new Observers()).add(observer);
    this.#ruled = true;
    return () => {
      this.#observers?.delete(observer);
      if (this.#observers?.count !== 0) return;
      this.#observers = null;
      this.#ruled = this.settings.bounded || this.#deduplication !== null || this.#expiry !== null;
    };
  }

  addConsumer(consumer: Consumer, where: string): Source {
    const { consumers } = this;
    const alone = consumer.exclusive && (consumers.length > 0 || this.settings.singleActiveConsumer);
    checkConsumers(consumers, alone, where);
    this.#rota.add(consumer);
    if (!consumer.noAck) this.#acknowledging++;
    this.#consumersChanged();
    this.wake();
    return this;
  }

  /** Returns whether it was the last one. */
  removeConsumer(consumer: Consumer): boolean {
    if (!this.#rota.remove(consumer)) return false;
    if (!consumer.noAck) this.#acknowledging--;
    this.#consumersChanged();
    if (this.consumers.length === 0) {
      this.#pace?.close();
      this.#lease?.renew();
    } else if (this.settings.singleActiveConsumer) this.wake();
    return this.consumers.length === 0;
  }

  /** The queue is deleted; returns the consumers that it had. */
  end(): Consumer[] {
    this.gone = true;
    this.#observers?.end();
    this.#expiry?.close();
    this.#pace?.close();
    this.#endLease();
    return this.#rota.clear();
  }
}
