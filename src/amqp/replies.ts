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
  /** From #first on: there may be thousands, of which the first goes without the others being moved. */
  #pending: PendingReply[] = [];
  #first = 0;
  readonly #services: AmqpServices;
  readonly #send: (write: WriteReply) => void;
  readonly #waiting: (count: number) => void;

  /** `send` writes a reply whose turn has come; `waiting` is told of so many more, or, below 0, fewer that wait. */
  constructor(services: AmqpServices, send: (write: WriteReply) => void, waiting: (count: number) => void) {
    this.#services = services;
    this.#send = send;
    this.#waiting = waiting;
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
      this.#sendReady();
    };
    this.#services.commit.wait({ seal: () => {}, durable });
    this.#services.turn.schedule();
  }

  /** Nobody waits for them any more. */
  clear(): void {
    const count = this.#pending.length - this.#first;
    this.#pending = [];
    this.#first = 0;
    this.#waiting(-count);
  }

  #push(pending: PendingReply): void {
    this.#pending.push(pending);
    this.#waiting(1);
  }

  #sendReady(): void {
    // One that is written may end the channel, and all others with it.
    for (let reply = this.#pending[this.#first]; reply?.ready; reply = this.#pending[this.#first]) {
      this.#first++;
      this.#waiting(-1);
      this.#send(reply.write);
    }
    if (this.#first <= this.#pending.length / 2) return;
    this.#pending = this.#pending.slice(this.#first);
    this.#first = 0;
  }
}
