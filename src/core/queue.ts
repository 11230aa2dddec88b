// A queue: messages in their store, consumers in turn, and who may use it. Knows no protocol: a consumer is whoever
// takes deliveries.

import type { Message as MessageType } from "../store/message.ts";
import { Message, MESSAGE_EXPIRES } from "../store/message.ts";
import type { QueueStore } from "../store/queue_store.ts";
import type { Arguments } from "./arguments.ts";
import type { Binding } from "./exchange.ts";
import { isExpired } from "./expiration.ts";
import { Refusal } from "./refusal.ts";
import type { Servable, Turn } from "./turn.ts";

/** Bytes of records that a queue delivers before other work has its turn: more than one chunk of a socket brings in. */
const SERVE_BYTES_MAX = 1024 * 1024;

export interface Consumer {
  readonly exclusive: boolean;
  /** Settled by being delivered. */
  readonly noAck: boolean;
  /** Who has a higher one is served first, as long as it takes messages. 0 for most. */
  readonly priority: number;
  /** Whether it takes one more message now. When it does again, it calls `queue.wake()`. Hot. */
  ready(): boolean;
  /** Takes a message; what it refers to is valid only during the call. Hot. */
  deliver(message: MessageType): void;
  /** The queue is gone. */
  cancelled(): void;
}

/** Identifies a connection, as the owner of exclusive queues. */
export type Owner = object;

export interface QueueOptions {
  readonly durable: boolean;
  readonly autoDelete: boolean;
  /** The connection that alone may use it, or null. */
  readonly owner: Owner | null;
  readonly args: Arguments;
}

export class Queue implements Servable {
  readonly kind = "queue";
  readonly name: string;
  readonly id: number;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly owner: Owner | null;
  readonly args: Arguments;
  readonly store: QueueStore;
  readonly boundFrom = new Set<Binding>();
  readonly consumers: Consumer[] = [];
  /** Deleted: takes and gives nothing any more. */
  gone = false;
  /** Used since the last housekeeping; see `VirtualHost.cool`. */
  warm = false;
  #next = 0;
  #queued = false;
  readonly #turn: Turn;
  readonly #message = new Message();

  constructor(name: string, id: number, options: QueueOptions, store: QueueStore, turn: Turn) {
    this.name = name;
    this.id = id;
    this.durable = options.durable;
    this.autoDelete = options.autoDelete;
    this.owner = options.owner;
    this.args = options.args;
    this.store = store;
    this.#turn = turn;
  }

  /** Takes a message in; false when it refuses to. Hot. */
  publish(message: MessageType): boolean {
    if (this.gone) return true;
    this.store.append(message);
    this.warm = true;
    if (this.consumers.length > 0) this.wake();
    return true;
  }

  /** Serves the consumers at the end of this turn, if there is something to deliver. Hot; idempotent. */
  wake(): void {
    if (this.#queued || this.store.readyCount === 0) return;
    this.#queued = true;
    this.#turn.serveLater(this);
  }

  serve(): boolean {
    this.#queued = false;
    if (this.gone) return false;
    this.warm = true;
    const store = this.store;
    const message = this.#message;
    let bytes = SERVE_BYTES_MAX;
    while (store.readyCount > 0) {
      if (bytes <= 0) {
        this.#queued = true;
        return true;
      }
      const consumer = this.#readyConsumer();
      if (consumer === null || !store.next(message)) return false;
      bytes -= message.recordBytes;
      if ((message.flags & MESSAGE_EXPIRES) !== 0 && isExpired(message, Date.now())) this.#drop(message);
      else consumer.deliver(message);
    }
    return false;
  }

  /** The next consumer in turn that takes a message. */
  #readyConsumer(): Consumer | null {
    const consumers = this.consumers;
    const count = consumers.length;
    let index = this.#next;
    for (let tried = 0; tried < count; tried++) {
      if (index >= count) index = 0;
      const consumer = consumers[index++]!;
      if (consumer.ready()) {
        this.#next = index;
        return consumer;
      }
    }
    return null;
  }

  /** Gives one message to a client that asks for it; null when none is ready. The caller settles or requeues it. */
  get(): MessageType | null {
    this.dropExpired();
    return this.store.next(this.#message) ? this.#message : null;
  }

  /** Messages that are ready. */
  get messageCount(): number {
    this.dropExpired();
    return this.store.readyCount;
  }

  /**
   * Settles the expired messages at the head. Those behind one that lives wait for their turn to be delivered: as with
   * RabbitMQ they go when they come to the head.
   */
  dropExpired(): void {
    this.warm = true;
    const { store } = this;
    const message = this.#message;
    const nowMs = Date.now();
    while (store.peek(message) && (message.flags & MESSAGE_EXPIRES) !== 0 && isExpired(message, nowMs)) {
      if (store.next(message)) this.#drop(message);
    }
  }

  #drop(message: MessageType): void {
    this.settle(message.position, message.recordBytes, message.bodyBytes);
  }

  /** Hot. */
  settle(position: number, recordBytes: number, bodyBytes: number): void {
    if (!this.gone) this.store.settle(position, recordBytes, bodyBytes);
  }

  /** A consumer wants it no more: basic.reject or basic.nack without requeue. */
  reject(position: number, recordBytes: number, bodyBytes: number): void {
    this.settle(position, recordBytes, bodyBytes);
  }

  requeue(position: number, bodyBytes: number): void {
    if (this.gone) return;
    this.store.requeue(position, bodyBytes);
    this.wake();
  }

  addConsumer(consumer: Consumer, where: string): void {
    if (this.consumers.some((other) => other.exclusive) || (consumer.exclusive && this.consumers.length > 0)) {
      throw new Refusal("access-refused", `${where} in exclusive use`);
    }
    this.consumers.push(consumer);
    this.wake();
  }

  /** Returns whether it was the last one. */
  removeConsumer(consumer: Consumer): boolean {
    const index = this.consumers.indexOf(consumer);
    if (index < 0) return false;
    this.consumers.splice(index, 1);
    if (this.#next > index) this.#next--;
    return this.consumers.length === 0;
  }
}
