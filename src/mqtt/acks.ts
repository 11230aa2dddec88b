// What a connection still has to acknowledge: PUBACK and PUBREC in the order in which their messages came
// [MQTT-4.6.0-2, MQTT-4.6.0-3], each when its message is on disk if it is to be there, and none ahead of an earlier one.

import { PUBACK } from "../wire/mqtt_packet.ts";
import type { CommitWaiter, GroupCommit } from "../store/group_commit.ts";

const CAPACITY_MIN = 16;

/** Of connections that publish nothing. */
const NOTHING = new Uint32Array(0);

/** Where acknowledgements go. */
export interface AcksHost {
  acknowledge(type: number, id: number, code: number): void;
  /** Sees to it that `settleTurn` is called when the turn ends. */
  endOfTurn(): void;
}

export class Acks implements CommitWaiter {
  /** PUBACKs that are not sent yet: with QoS 2 the session counts. */
  pubacksPending = 0;
  /** Numbers of the last one added, the last one that the running sync covers, the last one sent. */
  #added = 0;
  #sealed = 0;
  #sent = 0;
  #waiting = false;
  #ring = NOTHING;
  readonly #commit: GroupCommit;
  readonly #host: AcksHost;

  constructor(commit: GroupCommit, host: AcksHost) {
    this.#commit = commit;
    this.#host = host;
  }

  /** `toDisk` when it must wait for the disk. Hot. */
  add(type: number, id: number, code: number, toDisk: boolean): void {
    if (this.#added - this.#sent === this.#ring.length) this.#grow();
    if (type === PUBACK) this.pubacksPending++;
    this.#ring[this.#added++ & (this.#ring.length - 1)] = type << 24 | code << 16 | id;
    if (this.#waiting) return;
    if (toDisk || this.#sealed > this.#sent) {
      this.#waiting = true;
      this.#commit.wait(this);
    } else {
      this.#host.endOfTurn();
    }
  }

  /** At the end of the turn: what needs no disk and has nothing before it that does. */
  settleTurn(): void {
    if (!this.#waiting && this.#sealed <= this.#sent) this.#send(this.#added);
  }

  seal(): void {
    this.#waiting = false;
    this.#sealed = this.#added;
  }

  durable(): void {
    this.#send(this.#sealed);
  }

  #send(upTo: number): void {
    const ring = this.#ring;
    while (this.#sent < upTo) {
      const entry = ring[this.#sent++ & (ring.length - 1)]!;
      const type = entry >>> 24;
      if (type === PUBACK) this.pubacksPending--;
      this.#host.acknowledge(type, entry & 0xffff, entry >>> 16 & 0xff);
    }
  }

  #grow(): void {
    const larger = new Uint32Array(Math.max(CAPACITY_MIN, 2 * this.#ring.length));
    for (let number = this.#sent; number < this.#added; number++) {
      larger[number & (larger.length - 1)] = this.#ring[number & (this.#ring.length - 1)]!;
    }
    this.#ring = larger;
  }
}
