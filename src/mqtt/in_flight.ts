// What a session has sent and the client has not acknowledged: a ring over packet identifiers, which are given out one
// after the other, so that finding one is a subtraction. Outlives connections; the order in it is that of sending.

import type { Queue } from "../core/queue.ts";
import type { Qos } from "../wire/mqtt_packet.ts";

const CAPACITY_MIN = 16;
/** Packet identifiers are 1 to this. */
const IDS = 65_535;

export const FREE = 0;
/** PUBLISH sent; PUBACK is to come. */
export const EXPECTS_PUBACK = 1;
/** PUBLISH sent; PUBREC is to come. */
export const EXPECTS_PUBREC = 2;
/** PUBREL sent: the client has the message. PUBCOMP is to come. */
export const EXPECTS_PUBCOMP = 3;
export type State = typeof FREE | typeof EXPECTS_PUBACK | typeof EXPECTS_PUBREC | typeof EXPECTS_PUBCOMP;

/** One that is in flight; filled anew for each call. */
export interface Sent {
  queue: Queue;
  position: number;
  recordBytes: number;
  bodyBytes: number;
}

export class InFlight {
  /** Not acknowledged. */
  count = 0;
  /** Tags count up for ever; [first, next) are in the ring, some of them settled. */
  first = 0;
  next = 0;
  #capacity = CAPACITY_MIN;
  #states = new Uint8Array(CAPACITY_MIN);
  #positions = new Float64Array(CAPACITY_MIN);
  #recordBytes = new Uint32Array(CAPACITY_MIN);
  #bodyBytes = new Uint32Array(CAPACITY_MIN);
  #queues: (Queue | null)[] = new Array(CAPACITY_MIN).fill(null);
  readonly #sent = { queue: null, position: 0, recordBytes: 0, bodyBytes: 0 } as unknown as Sent;

  /** A packet identifier is free. Hot. */
  get hasRoom(): boolean {
    return this.next - this.first < IDS;
  }

  /** Returns the packet identifier. Hot. */
  add(qos: Qos, queue: Queue, position: number, recordBytes: number, bodyBytes: number): number {
    if (this.next - this.first === this.#capacity) this.#grow();
    const tag = this.next++;
    const slot = tag & (this.#capacity - 1);
    this.#states[slot] = qos;
    this.#positions[slot] = position;
    this.#recordBytes[slot] = recordBytes;
    this.#bodyBytes[slot] = bodyBytes;
    this.#queues[slot] = queue;
    this.count++;
    return tag % IDS + 1;
  }

  /** The tag with this packet identifier, -1 when it is not in flight. Hot. */
  find(id: number): number {
    if (id === 0) return -1;
    const tag = this.first + (id - 1 - this.first % IDS + IDS) % IDS;
    return tag < this.next && this.stateOf(tag) !== FREE ? tag : -1;
  }

  idOf(tag: number): number {
    return tag % IDS + 1;
  }

  stateOf(tag: number): State {
    return this.#states[tag & (this.#capacity - 1)]! as State;
  }

  /** Valid until the next call. */
  sentAt(tag: number): Sent {
    const slot = tag & (this.#capacity - 1);
    const sent = this.#sent;
    sent.queue = this.#queues[slot]!;
    sent.position = this.#positions[slot]!;
    sent.recordBytes = this.#recordBytes[slot]!;
    sent.bodyBytes = this.#bodyBytes[slot]!;
    return sent;
  }

  /** The client has the message, and the identifier is still in use. */
  received(tag: number): void {
    const slot = tag & (this.#capacity - 1);
    this.#states[slot] = EXPECTS_PUBCOMP;
    this.#queues[slot] = null;
  }

  /** The identifier is free again. Hot. */
  remove(tag: number): void {
    const mask = this.#capacity - 1;
    this.#states[tag & mask] = FREE;
    this.#queues[tag & mask] = null;
    this.count--;
    while (this.first < this.next && this.#states[this.first & mask] === FREE) this.first++;
  }

  #grow(): void {
    const old = this.#capacity;
    const capacity = old * 2;
    const states = new Uint8Array(capacity);
    const positions = new Float64Array(capacity);
    const [recordBytes, bodyBytes] = [new Uint32Array(capacity), new Uint32Array(capacity)];
    const queues: (Queue | null)[] = new Array(capacity).fill(null);
    for (let tag = this.first; tag < this.next; tag++) {
      const [from, to] = [tag & (old - 1), tag & (capacity - 1)];
      states[to] = this.#states[from]!;
      positions[to] = this.#positions[from]!;
      recordBytes[to] = this.#recordBytes[from]!;
      bodyBytes[to] = this.#bodyBytes[from]!;
      queues[to] = this.#queues[from]!;
    }
    this.#capacity = capacity;
    this.#states = states;
    this.#positions = positions;
    this.#recordBytes = recordBytes;
    this.#bodyBytes = bodyBytes;
    this.#queues = queues;
  }
}
