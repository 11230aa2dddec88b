// A stream: messages stay when they were consumed, and any number of consumers read them, each at its own pace. Stands
// beside `Queue` in a virtual host.

import { assert } from "../lib/assert.ts";
import { steadyMs } from "../lib/clock.ts";
import { Message } from "../store/message.ts";
import type { StreamCursor } from "../store/stream_cursor.ts";
import type { StreamStore } from "../store/stream_store.ts";
import type { AnyQueue, ConsumeRequest, MessageGetter, Source } from "./any_queue.ts";
import type { Arguments } from "./arguments.ts";
import type { Binding } from "./exchange.ts";
import { checkConsumers } from "./consumer_rota.ts";
import { type Observer, Observers } from "./observers.ts";
import type { EffectivePolicy } from "./policies/policy.ts";
import type { Consumer } from "./queue.ts";
import { Refusal } from "./refusal.ts";
import { type Countable, QueueCounters } from "./statistics/counters.ts";
import { StreamReader } from "./stream_reader.ts";
import { readReading } from "./stream_reading.ts";
import { StreamSettings } from "./stream_settings.ts";
import type { Servable, Turn } from "./turn.ts";

export interface StreamOptions {
  readonly args: Arguments;
  readonly settings: StreamSettings;
  readonly policy: EffectivePolicy | null;
  /** Names it in refusals: queue 'name' in vhost '/'. */
  readonly text: string;
}

/** What a stream needs of its surroundings. */
export interface StreamServices {
  readonly turn: Turn;
  /** It is used, so it may hold files and buffers. Sets `warm`. */
  warmed(stream: AnyQueue): void;
}

export class Stream implements AnyQueue, Servable {
  readonly kind = "queue";
  readonly name: string;
  readonly id: number;
  readonly durable = true;
  readonly logged = true;
  readonly keepsAll = true;
  readonly autoDelete = false;
  readonly owner = null;
  readonly args: Arguments;
  settings: StreamSettings;
  policy: EffectivePolicy | null = null;
  readonly store: StreamStore;
  readonly counters: QueueCounters;
  readonly turn: Turn;
  readonly #services: StreamServices;
  readonly boundFrom = new Set<Binding>();
  readonly consumers: Consumer[] = [];
  gone = false;
  warm = false;
  readonly #text: string;
  readonly #readers = new Map<Consumer, StreamReader>();
  #observation: StreamObservation | null = null;
  /** Somebody reads or looks on. */
  #isRead = false;
  #queued = false;

  constructor(name: string, id: number, options: StreamOptions, store: StreamStore, services: StreamServices) {
    this.name = name;
    this.id = id;
    this.args = options.args;
    this.settings = options.settings;
    this.policy = options.policy;
    this.#text = options.text;
    this.store = store;
    this.counters = new QueueCounters(new StreamCount(store));
    this.turn = services.turn;
    this.#services = services;
  }

  get messageCount(): number {
    return this.store.messageCount;
  }

  /** Hot. */
  publish(message: Message): boolean {
    if (this.gone) return true;
    this.store.append(message);
    this.counters.publish++;
    if (!this.warm) this.#services.warmed(this);
    if (this.#isRead) this.wake();
    return true;
  }

  makesWait(): boolean {
    return false;
  }

  wake(): void {
    if (this.#queued || this.gone) return;
    this.#queued = true;
    this.turn.serveLater(this);
  }

  serve(): boolean {
    this.#queued = false;
    if (this.gone) return false;
    for (const reader of this.#readers.values()) reader.wake();
    this.#observation?.show();
    return false;
  }

  /** A consumer is reading. */
  used(): void {
    if (!this.warm) this.#services.warmed(this);
  }

  addConsumer(consumer: Consumer, where: string, request: ConsumeRequest): Source {
    const reading = readReading(request, consumer.noAck, where);
    const { consumers } = this;
    checkConsumers(consumers, consumer.exclusive && consumers.length > 0, where);
    const reader = new StreamReader(this, consumer, reading);
    this.#readers.set(consumer, reader);
    consumers.push(consumer);
    this.#isRead = true;
    reader.wake();
    return reader;
  }

  removeConsumer(consumer: Consumer): boolean {
    const reader = this.#readers.get(consumer);
    if (reader === undefined) return false;
    this.#readers.delete(consumer);
    this.consumers.splice(this.consumers.lastIndexOf(consumer), 1);
    reader.close();
    this.#isRead = this.consumers.length > 0 || this.#observation !== null;
    return this.consumers.length === 0;
  }

  observe(observer: Observer): () => void {
    this.#observation ??= new StreamObservation(this.store.cursor());
    this.#observation.observers.add(observer);
    this.#isRead = true;
    return () => {
      this.#observation?.observers.delete(observer);
      if (this.#observation?.observers.count !== 0) return;
      this.#endObservation();
    };
  }

  #endObservation(): void {
    this.#observation?.close();
    this.#observation = null;
    this.#isRead = this.consumers.length > 0;
  }

  get getter(): MessageGetter {
    throw new Refusal("not-implemented", `basic.get not supported by stream queues ${this.#text}`);
  }

  purge(): never {
    throw new Refusal("not-implemented", `queue.purge not supported by stream queues ${this.#text}`);
  }

  configure(policy: EffectivePolicy | null): void {
    this.policy = policy;
    this.settings = new StreamSettings(this.args, this.#text, policy?.definition);
    this.store.retention = this.settings.retention;
    this.retain(steadyMs());
  }

  /** Nothing ever makes it expire. */
  renew(): void {
    assert(!this.gone, "a stream was declared again that is gone");
  }

  end(): Consumer[] {
    this.gone = true;
    for (const reader of this.#readers.values()) reader.close();
    this.#endObservation();
    this.#readers.clear();
    return this.consumers.splice(0);
  }

  /** Now and then: lets go what is older or more than its limits allow. */
  retain(nowMs: number): void {
    this.store.retain(nowMs);
  }
}

/** What has come in since the last look, read again from the store: a stream has it all. */
class StreamObservation {
  readonly observers = new Observers();
  readonly #cursor: StreamCursor;
  readonly #message = new Message();

  constructor(cursor: StreamCursor) {
    this.#cursor = cursor;
    cursor.seek({ kind: "next" });
  }

  /** All that one turn has brought, which is bounded. */
  show(): void {
    while (this.#cursor.next(this.#message)) this.observers.saw(this.#message);
    this.#cursor.cool();
  }

  close(): void {
    this.observers.end();
    this.#cursor.close();
  }
}

/** What is in flight stays in the stream, and counts as ready. */
class StreamCount implements Countable {
  readonly unackedCount = 0;
  readonly #store: StreamStore;

  constructor(store: StreamStore) {
    this.#store = store;
  }

  get readyCount(): number {
    return this.#store.messageCount;
  }
}
