// The replies of one channel, in the order of their requests: one that waits for the disk holds back those behind it.

import type { OutBuffer } from "../lib/out_buffer.ts";
import type { AmqpServices } from "./services.ts";

export type WriteReply = (out: OutBuffer) => void;

/** A reply that waits for its turn, and perhaps for the disk. */
interface PendingReply {
  ready: boolean;
  readonly write: WriteReply;
}

export class Replies {
  #pending: PendingReply[] = [];
  readonly #services: AmqpServices;
  readonly #send: (write: WriteReply) => void;

  readonly #waits: (change: number) => void;

  /** `send` writes a reply whose turn has come; `waits` is told how many more, or fewer, wait for theirs. */
  constructor(services: AmqpServices, send: (write: WriteReply) => void, waits: (change: number) => void) {
    this.#services = services;
    this.#send = send;
    this.#waits = waits;
  }

  /** No reply waits. */
  get idle(): boolean {
    return this.#pending.length === 0;
  }

  /** Sends a reply after those before it. */
  add(write: WriteReply): void {
    if (this.#pending.length === 0) this.#send(write);
    else this.#push({ ready: true, write });
  }

  /** Sends a reply when all that was written so far is on disk. */
  addDurable(write: WriteReply): void {
    const pending: PendingReply = { ready: false, write };
    this.#push(pending);
    const durable = (): void => {
      pending.ready = true;
      let count = 0;
      for (; this.#pending[0]?.ready; count++) this.#send(this.#pending.shift()!.write);
      if (count > 0) this.#waits(-count);
    };
    this.#services.commit.wait({ seal: () => {}, durable });
    this.#services.turn.schedule();
  }

  /** Nobody waits for them any more. */
  clear(): void {
    this.#pending = [];
  }

  #push(reply: PendingReply): void {
    this.#pending.push(reply);
    this.#waits(1);
  }
}
