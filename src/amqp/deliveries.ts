// What one channel has delivered and not settled: numbers deliveries, bounds them by the channel's shared prefetch,
// settles them at once or when their transaction commits, and gives them back.

import type { Source } from "../core/any_queue.ts";
import { Queue } from "../core/queue.ts";
import { Message } from "../store/message.ts";
import { ChannelCounters } from "../core/statistics/counters.ts";
import { CONSUMER_TIMEOUT_MS } from "../limits.ts";
import type { AmqpConsumer } from "./consumer.ts";
import { DeliveryClock } from "./delivery_clock.ts";
import { AmqpError } from "./errors.ts";
import { ACKNOWLEDGED, type Outcome, REJECTED, REQUEUED, type Settlement, type Transaction } from "./transaction.ts";
import { type Delivery, Unacked } from "./unacked.ts";

/** With more clocks than these it is worth a look which of them are needed. */
const CLOCKS_KEPT_MAX = 16;

export class Deliveries {
  /** Shared by all consumers of the channel, 0 for none. */
  prefetch = 0;
  /** In transaction mode settlements wait here for their commit. */
  transaction: Transaction | null = null;
  /** Delivered by consumers with acknowledgements and not settled: what `prefetch` bounds. */
  #unsettledCount = 0;
  /** One per timeout, by it; those of queues that name none share the broker's. */
  readonly #clocks = new Map<number, DeliveryClock>();
  #tag = 0;
  readonly #unacked = new Unacked();
  readonly #onRoom: () => void;
  readonly #counters: ChannelCounters;
  readonly #settleAcked = (delivery: Delivery): void => this.#settle(delivery, ACKNOWLEDGED);
  readonly #settleRejected = (delivery: Delivery): void => this.#settle(delivery, REJECTED);
  readonly #settleRequeued = (delivery: Delivery): void => this.#settle(delivery, REQUEUED);

  /** `onRoom` is called when the shared prefetch was used up and is not any more. */
  constructor(onRoom: () => void, counters = new ChannelCounters()) {
    this.#onRoom = onRoom;
    this.#counters = counters;
  }

  /** Delivered and not settled, those of basic.get included. */
  get unackedCount(): number {
    return this.#unacked.count;
  }

  /** Hot. */
  nextTag(): number {
    return ++this.#tag;
  }

  /** Whether the channel's shared prefetch leaves room. Hot. */
  hasCredit(): boolean {
    return this.prefetch === 0 || this.#unsettledCount < this.prefetch;
  }

  /** A delivery that is to be settled. Hot. */
  hold(
    tag: number,
    queue: Source,
    consumer: AmqpConsumer | null,
    position: number,
    recordBytes: number,
    bodyBytes: number,
  ): void {
    if (consumer !== null) this.#unsettledCount++;
    this.#unacked.push(tag, queue, consumer, position, recordBytes, bodyBytes);
  }

  /** basic.ack. Hot. */
  acknowledge(tag: number, multiple: boolean): void {
    if (this.transaction !== null) return this.#takeLater(this.transaction, tag, multiple, ACKNOWLEDGED);
    this.#take(tag, multiple, this.#settleAcked);
  }

  /** basic.nack and basic.reject. */
  reject(tag: number, multiple: boolean, requeue: boolean): void {
    if (this.transaction !== null) {
      return this.#takeLater(this.transaction, tag, multiple, requeue ? REQUEUED : REJECTED);
    }
    this.#take(tag, multiple, requeue ? this.#settleRequeued : this.#settleRejected);
  }

  /** Everything back to its queue, in order: basic.recover, or the channel's end. */
  requeueAll(): void {
    this.#unacked.takeUpTo(Infinity, this.#settleRequeued);
  }

  /** basic.recover without requeue: everything once more to the consumer that has it; back to its queue if that cannot be. */
  redeliverAll(): void {
    const deliveries: Delivery[] = [];
    this.#unacked.takeUpTo(Infinity, (delivery) => deliveries.push({ ...delivery }));
    for (const delivery of deliveries) {
      this.#settle(delivery, REQUEUED);
      const { queue, consumer, position } = delivery;
      // A stream gives it to the same consumer anyway.
      if (!(queue instanceof Queue)) continue;
      if (consumer === null || consumer.ended || queue.gone || !consumer.ready()) continue;
      const head = new Message();
      if (!queue.store.peek(head) || head.position !== position) continue;
      const message = queue.get();
      if (message !== null) consumer.deliver(message);
    }
  }

  #take(tag: number, multiple: boolean, settle: (delivery: Delivery) => void): void {
    const wasFull = !this.hasCredit();
    if (multiple && tag === 0) {
      this.#unacked.takeUpTo(Infinity, settle);
    } else if (multiple) {
      if (!this.#unacked.has(tag)) throw unknownTag(tag);
      this.#unacked.takeUpTo(tag, settle);
    } else if (!this.#unacked.take(tag, settle)) {
      throw unknownTag(tag);
    }
    if (wasFull) this.#onRoom();
  }

  #settle(delivery: Delivery, outcome: Outcome): void {
    const { queue, consumer } = delivery;
    if (consumer !== null) {
      consumer.unsettled--;
      this.#unsettledCount--;
    }
    const { position, recordBytes, bodyBytes } = delivery;
    if (outcome === REQUEUED) return queue.requeue(position, bodyBytes);
    if (outcome === ACKNOWLEDGED) {
      queue.settle(position, recordBytes, bodyBytes);
      this.#counters.ack++;
      queue.counters.ack++;
    } else {
      queue.reject(position, recordBytes, bodyBytes);
    }
    queue.wake();
  }

  // Timeouts

  /** Deliveries of this queue may come. */
  watch({ settings }: Pick<Source, "settings">): void {
    const timeoutMs = timeoutOf(settings);
    if (!this.#clocks.has(timeoutMs)) this.#clocks.set(timeoutMs, new DeliveryClock(timeoutMs));
  }

  /** The timeout that one of the deliveries has outlived, null when none has. `watched`: of these more may come. */
  overdueMs(nowMs: number, watched: Iterable<Pick<AmqpConsumer, "queue">>): number | null {
    if (this.#clocks.size > CLOCKS_KEPT_MAX) this.#forgetClocks(watched);
    for (const [timeoutMs, clock] of this.#clocks) {
      const tag = clock.overdue(this.#tag, nowMs);
      if (tag > 0 && this.#unacked.some(tag, ({ settings }) => timeoutOf(settings) === timeoutMs)) return timeoutMs;
    }
    return null;
  }

  /** Those that no delivery runs by, nor will: a client can name as many timeouts as it can declare queues. */
  #forgetClocks(watched: Iterable<Pick<AmqpConsumer, "queue">>): void {
    const used = new Set<number>();
    for (const { queue } of watched) used.add(timeoutOf(queue.settings));
    this.#unacked.some(Infinity, ({ settings }) => {
      used.add(timeoutOf(settings));
      return false;
    });
    for (const timeoutMs of this.#clocks.keys()) if (!used.has(timeoutMs)) this.#clocks.delete(timeoutMs);
  }

  // Transactions

  #takeLater(transaction: Transaction, tag: number, multiple: boolean, outcome: Outcome): void {
    this.#take(tag, multiple, (delivery) => transaction.settle(delivery, outcome));
  }

  /** Does what was put off until the commit. */
  commit(settlements: readonly Settlement[]): void {
    const wasFull = !this.hasCredit();
    for (const { delivery, outcome } of settlements) this.#settle(delivery, outcome);
    if (wasFull) this.#onRoom();
  }

  /** As if they had never been settled: nothing goes back to its queue. */
  rollBack(settlements: readonly Settlement[]): void {
    if (settlements.length === 0) return;
    const deliveries = settlements.map(({ delivery }) => delivery);
    this.#unacked.takeUpTo(Infinity, (delivery) => deliveries.push({ ...delivery }));
    deliveries.sort((a, b) => a.tag - b.tag);
    for (const { tag, queue, consumer, position, recordBytes, bodyBytes } of deliveries) {
      this.#unacked.push(tag, queue, consumer, position, recordBytes, bodyBytes);
    }
  }
}

function timeoutOf({ consumerTimeoutMs }: Source["settings"]): number {
  return consumerTimeoutMs ?? CONSUMER_TIMEOUT_MS;
}

function unknownTag(tag: number): AmqpError {
  return new AmqpError(406, `unknown delivery tag ${tag}`);
}
