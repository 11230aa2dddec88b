// One publisher: a connection that publishes as much as its limits allow, in batches, without starving whatever else
// runs in this process: a few batches a turn, and none while the kernel has not taken the last.

import { setImmediate } from "node:timers";
import type { AmqpChannel, ChannelHandler } from "../client/amqp_channel.ts";
import type { AmqpConnection } from "../client/amqp_connection.ts";
import type { AmqpFault } from "../client/amqp_fault.ts";
import { type Batches, batchesOf, dueOf } from "./batches.ts";
import { ConfirmWindow } from "./confirm_window.ts";
import type { PublishRing } from "./publish_ring.ts";
import { clockUs } from "./stamp.ts";

export interface PublisherLimits {
  /** Messages in all; Infinity for no end. */
  readonly countMax: number;
  /** Outstanding confirms; 0 for no confirms. */
  readonly confirmMax: number;
  /** Messages per ms; Infinity for as fast as it goes. */
  readonly ratePerMs: number;
  /** Publishers in this process. */
  readonly publishers: number;
  /** Part of one interval (0 to 1) by which this publisher's schedule is ahead, so that several take turns. */
  readonly phase: number;
}

export class Publisher implements ChannelHandler {
  /** Null without confirms. */
  readonly window: ConfirmWindow | null;
  #sent = 0;
  readonly #connection: AmqpConnection;
  readonly #ring: PublishRing;
  readonly #limits: PublisherLimits;
  readonly #batches: Batches;
  readonly #failed: (fault: AmqpFault) => void;
  #running = false;
  #scheduled = false;
  #startedMs = 0;

  constructor(
    connection: AmqpConnection,
    channel: AmqpChannel,
    ring: PublishRing,
    limits: PublisherLimits,
    failed: (fault: AmqpFault) => void,
  ) {
    this.#connection = connection;
    this.#ring = ring;
    this.#limits = limits;
    this.#batches = batchesOf(limits.publishers);
    this.#failed = failed;
    this.window = limits.confirmMax > 0 ? new ConfirmWindow(limits.confirmMax) : null;
    connection.drained = () => this.#schedule();
    channel.handler = this;
  }

  /** Messages that count: those confirmed, or without confirms those handed over for sending. */
  get published(): number {
    return this.window === null ? this.#sent : this.window.accepted;
  }

  get rejected(): number {
    return this.window?.rejected ?? 0;
  }

  /** Has published and got confirmed all it may. */
  get finished(): boolean {
    return this.#sent >= this.#limits.countMax && this.settled;
  }

  /** Nothing is under way: all is with the kernel and, with confirms, confirmed. */
  get settled(): boolean {
    return this.#connection.pending === 0 && (this.window?.idle ?? true);
  }

  start(nowMs: number): void {
    this.#running = true;
    this.#startedMs = nowMs;
    this.#schedule();
  }

  stop(): void {
    this.#running = false;
  }

  /** With a rate: a tick of the clock. Messages are stamped when they are sent, not when they were due. */
  tick(): void {
    this.#publish();
  }

  settle(tag: number, multiple: boolean, accepted: boolean): void {
    this.window?.settle(tag, multiple, accepted);
  }

  /** Confirms have come: fill up again within the same turn. */
  turn(): void {
    if (this.window !== null) this.#publish();
  }

  closed(fault: AmqpFault | null): void {
    this.#running = false;
    if (fault !== null) this.#failed(fault);
  }

  deliver(): void {}
  header(): void {}
  body(): void {}

  #schedule(): void {
    if (this.#scheduled || !this.#running) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#publish();
    });
  }

  /** Publishes what may be published now, bounded. What is left waits for the next turn, drain, confirm or tick. Hot. */
  #publish(): void {
    if (!this.#running) return;
    const connection = this.#connection;
    const { bytes, perTurn } = this.#batches;
    // What becomes due meanwhile is for the next tick: a write for each message would take the time of those who read.
    const due = dueOf(this.#limits, this.#startedMs);
    for (let batch = 0; batch < perTurn; batch++) {
      if (connection.pending > 0) return;
      const count = this.#allowed(due);
      if (count <= 0) return;
      const written = this.#ring.write(connection.out, count, bytes, clockUs());
      this.#sent += written;
      if (this.window !== null) this.window.sent += written;
      connection.flush();
    }
    if (connection.pending === 0) this.#schedule();
  }

  #allowed(due: number): number {
    const count = Math.min(due, this.#limits.countMax) - this.#sent;
    return this.window === null ? count : Math.min(count, this.window.room);
  }
}
