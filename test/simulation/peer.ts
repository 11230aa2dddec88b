// One client of the script: its connection, its channels, and what it knows of what became of what it sent.

import { basic, channel as channelMethods, confirm, tx } from "../support/raw_methods.ts";
import type { PayloadReader } from "../support/raw_bytes.ts";
import type { ReplyName } from "../support/raw_methods.ts";
import { bodyOf } from "./bodies.ts";
import type { Machine } from "./machine.ts";
import { type Copy, type Model, Seen, type SimMessage, type SimQueue } from "./model.ts";
import { type ChannelEvents, type SimChannel, SimClient, type SimDelivery } from "./sim_client.ts";

/** A delivery that is not settled. */
export interface Held {
  readonly delivery: SimDelivery;
  readonly copy: Copy;
}

export interface Answered {
  readonly name: ReplyName;
  readonly args: PayloadReader;
}

export type PublishMode = "confirm" | "transaction";

const PUBLISHING = 1;
const CONSUMING = 2;

export class Peer {
  readonly client: SimClient;
  readonly publishing: SimChannel;
  readonly consuming: SimChannel;
  readonly mode: PublishMode;
  /** Order is promised to it. */
  readonly publisher: string;
  /** In the order in which they came. */
  held: Held[] = [];
  readonly consumers = new Map<string, { readonly queue: SimQueue; readonly seen: Seen }>();
  /** Sent, and neither confirmed nor, in a transaction, committed. */
  readonly open = new Map<number, SimMessage>();
  /** The transaction's messages. */
  batch: SimMessage[] = [];
  /** Of basic.get: the queues asked, in order. */
  readonly asked: { readonly queue: SimQueue; readonly seen: Seen }[] = [];
  /** What came by basic.get last. */
  got: Copy | null = null;
  readonly #model: Model;
  /** Sent, and perhaps not read yet. */
  #settlements: Copy[] = [];
  #lastTag = 0;

  constructor(name: string, machine: Machine, mode: PublishMode) {
    this.#model = machine.model;
    this.mode = mode;
    this.publisher = name;
    this.client = new SimClient(name, (text) => this.#model.violate(text));
    this.client.connect(machine.runtime, machine.address);
    this.publishing = this.client.openChannel(PUBLISHING, this.#events(false));
    this.consuming = this.client.openChannel(CONSUMING, this.#events(true));
  }

  get isReady(): boolean {
    return this.client.isOpen && this.publishing.waitingCount === 0 && this.consuming.waitingCount === 0;
  }

  /** Nothing is under way. */
  get isQuiet(): boolean {
    return this.client.gone !== null || (this.isReady && (this.mode === "transaction" || this.open.size === 0));
  }

  /** To be called when the connection is open. */
  begin(prefetch: number): void {
    if (this.mode === "confirm") this.publishing.call(confirm.select(PUBLISHING), () => {});
    else this.publishing.call(tx.select(PUBLISHING), () => {});
    this.consuming.call(basic.qos(CONSUMING, prefetch), () => {});
  }

  publish(message: SimMessage, exchange: string, key: string, flags: number, properties: Uint8Array): void {
    const number = this.publishing.publish(exchange, key, bodyOf(message.id, message.bytes), flags, properties);
    if (this.mode === "confirm") this.open.set(number, message);
    else this.batch.push(message);
  }

  commit(): void {
    const messages = this.batch;
    this.batch = [];
    this.publishing.call(tx.commit(PUBLISHING), () => {
      for (const message of messages) this.#model.confirmed(message);
    });
  }

  rollback(): void {
    for (const message of this.batch) this.#model.withdraw(message);
    this.batch = [];
    this.publishing.call(tx.rollback(PUBLISHING), () => {});
  }

  /** Sends on the consuming channel; when it is answered, settlements sent before it are known to be read. */
  request(bytes: Uint8Array, answer: (answered: Answered) => void = () => {}): void {
    const settlements = this.#settlements;
    this.#settlements = [];
    this.consuming.call(bytes, (name, args) => {
      for (const copy of settlements) this.#model.settled(copy);
      answer({ name, args });
    });
  }

  /** An answer that says nothing, so that what was settled before is known to be read. */
  sync(): void {
    this.request(channelMethods.flow(CONSUMING, true));
  }

  consume(queue: SimQueue): void {
    const tag = `t${++this.#lastTag}`;
    queue.read = true;
    this.consumers.set(tag, { queue, seen: new Seen() });
    this.request(basic.consume(CONSUMING, queue.name, { tag }));
  }

  cancel(tag: string): void {
    this.request(basic.cancel(CONSUMING, tag));
  }

  get(queue: SimQueue, seen: Seen = new Seen(), answer: (copy: Copy | null) => void = () => {}): void {
    queue.read = true;
    this.asked.push({ queue, seen });
    this.request(basic.get(CONSUMING, queue.name), ({ name }) => {
      if (name === "basic.get-empty") this.asked.shift();
      answer(name === "basic.get-empty" ? null : this.got);
    });
  }

  /** Acknowledges `held[index]`, or all up to it. */
  acknowledge(index: number, multiple: boolean): void {
    const settled = this.#take(index, multiple);
    this.client.send(basic.ack(CONSUMING, settled.at(-1)!.delivery.deliveryTag, multiple));
    this.#settle(settled, true, false);
  }

  /** Gives it back, or rejects it for good. */
  refuse(index: number, multiple: boolean, requeue: boolean): void {
    const settled = this.#take(index, multiple);
    const tag = settled.at(-1)!.delivery.deliveryTag;
    if (multiple) this.client.send(basic.nack(CONSUMING, tag, { multiple, requeue }));
    else this.client.send(basic.reject(CONSUMING, tag, requeue));
    this.#settle(settled, !requeue, !requeue);
  }

  abort(): void {
    this.client.abort();
    this.forget();
  }

  /** The connection is gone: what it had goes back. */
  forget(): void {
    for (const { copy, delivery } of this.held) if (copy.held === delivery) copy.held = null;
    this.held = [];
    this.consumers.clear();
    this.#settlements = [];
    this.open.clear();
    this.batch = [];
  }

  #take(index: number, multiple: boolean): Held[] {
    return multiple ? this.held.splice(0, index + 1) : this.held.splice(index, 1);
  }

  #settle(settled: readonly Held[], forGood: boolean, rejected: boolean): void {
    for (const { copy } of settled) {
      this.#model.settling(copy, forGood, rejected && copy.queue.kind === "dead");
      if (forGood) this.#settlements.push(copy);
    }
  }

  #events(consuming: boolean): ChannelEvents {
    return {
      delivered: (delivery) => this.#delivered(delivery),
      confirmed: (number) => {
        const message = this.open.get(number)!;
        this.open.delete(number);
        this.#model.confirmed(message);
      },
      refused: (number) => this.#model.violate(`publish ${number} of ${this.publisher} was refused`),
      cancelled: (tag) => this.consumers.delete(tag),
      closed: (reason) => {
        this.#model.violate(`the broker closed the ${consuming ? "consuming" : "publishing"} channel: ${reason}`);
      },
    };
  }

  #delivered(delivery: SimDelivery): void {
    const { consumerTag } = delivery;
    const reader = consumerTag === null ? this.asked.shift() : this.consumers.get(consumerTag);
    if (reader === undefined) return this.#model.violate(`a delivery came to consumer ${consumerTag}, which is none`);
    const copy = this.#model.delivered(reader.queue, delivery, reader.seen);
    if (consumerTag === null) this.got = copy;
    if (copy !== null) this.held.push({ delivery, copy });
  }
}
