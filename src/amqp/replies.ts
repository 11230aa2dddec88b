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

  /** `send` writes a reply whose turn has come. */
  constructor(services: AmqpServices, send: (write: WriteReply) => void) {
    this.#services = services;
    this.#send = send;
  }

  /** No reply waits. */
  get idle(): boolean {
    return this.#pending.length === 0;
  }

  /** Sends a reply after those before it. */
  add(write: WriteReply): void {
    if (this.#pending.length === 0) this.#send(write);
    else this.#pending.push({ ready: true, write });
  }

  /** Sends a reply when all that was written so far is on disk. */
  addDurable(write: WriteReply): void {
    const pending: PendingReply = { ready: false, write };
    this.#pending.push(pending);
    const durable = (): void => {
      pending.ready = true;
      while (this.#pending[0]?.ready) this.#send(this.#pending.shift()!.write);
    };
    this.#services.commit.wait({ seal: () => {}, durable });
    this.#services.turn.schedule();
  }

  /** Nobody waits for them any more. */
  clear(): void {
    this.#pending = [];
  }
}
