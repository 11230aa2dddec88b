// One consumer: a channel whose deliveries it counts, measures and acknowledges, without allocating for any of them.

import type { AmqpChannel, ChannelHandler } from "../client/amqp_channel.ts";
import type { AmqpFault } from "../client/amqp_fault.ts";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import { writeBasicAck } from "../wire/amqp_methods.ts";
import { readLong, readLonglong } from "../wire/amqp_values.ts";
import { LatencyHistogram } from "./latency_histogram.ts";
import { clockUs, STAMP_BYTES } from "./stamp.ts";

/** A stamp that lies further ahead than this is later than the clock of the turn: the message took no time. */
const LATENCY_US_MAX = 0x8000_0000;
/** Where the tag lies in an ack frame, behind the frame's head and the method's number. */
const ACK_TAG_AT = 7 + 4;
/** Acks that are sent in one piece, if a turn has so many: an out-buffer need not grow for them. */
const ACKS_AT_ONCE = 1024;

/** Where acknowledgements go: a connection. */
export interface AckTarget {
  readonly out: OutBuffer;
  flush(): void;
}

export class Consumer implements ChannelHandler {
  consumed = 0;
  /** When the last turn that brought messages was, ms on the monotonic clock. */
  lastMs = 0;
  readonly latency = new LatencyHistogram();
  readonly #connection: AckTarget;
  readonly #runMark: number;
  /** Messages for each ack; 0 when the broker expects none. */
  readonly #ackEvery: number;
  /** Ack frames one behind the other, whose tags are filled in. */
  readonly #acks: Uint8Array;
  readonly #ackBytes: number;
  #acksEnd = 0;
  readonly #failed: (fault: AmqpFault) => void;
  #unacked = 0;
  #tagHigh = 0;
  #tagLow = 0;
  #bodyLeft = 0;
  #bodyBegins = false;
  #clock = 0;
  /** Messages came in this turn, and #clock is its time. */
  #active = false;

  constructor(
    connection: AckTarget,
    channel: AmqpChannel,
    ackEvery: number,
    runMark: number,
    failed: (fault: AmqpFault) => void,
  ) {
    this.#connection = connection;
    this.#runMark = runMark;
    this.#ackEvery = ackEvery;
    this.#failed = failed;
    const template = new OutBuffer(new BufferPool());
    for (let count = 0; count < ACKS_AT_ONCE; count++) {
      writeBasicAck(template, channel.number, { deliveryTag: 0, multiple: ackEvery > 1 });
    }
    this.#acks = template.bytes.slice(template.start, template.end);
    this.#ackBytes = this.#acks.length / ACKS_AT_ONCE;
    channel.handler = this;
  }

  /** Hot. */
  deliver(bytes: Uint8Array, at: number): void {
    if (this.#ackEvery === 0) return;
    const tagAt = at + 5 + bytes[at + 4]!;
    this.#tagHigh = readLong(bytes, tagAt);
    this.#tagLow = readLong(bytes, tagAt + 4);
  }

  /** Hot. */
  header(bytes: Uint8Array, at: number): void {
    this.#bodyLeft = readLonglong(bytes, at + 4);
    this.#bodyBegins = true;
    if (this.#bodyLeft === 0) this.#complete();
  }

  /** Hot. */
  body(bytes: Uint8Array, at: number, size: number): void {
    if (this.#bodyBegins) {
      this.#bodyBegins = false;
      if (size >= STAMP_BYTES && readLong(bytes, at) === this.#runMark) {
        if (!this.#active) this.#begin();
        const latency = (this.#clock - readLong(bytes, at + 4)) >>> 0;
        this.latency.record(latency < LATENCY_US_MAX ? latency : 0);
      }
    }
    this.#bodyLeft -= size;
    if (this.#bodyLeft === 0) this.#complete();
  }

  turn(): void {
    this.#active = false;
    this.#sendAcks();
  }

  /** Acknowledges what is still open: at the end of a run. The owner flushes. */
  ackRest(): void {
    if (this.#unacked > 0) this.#writeAck();
    this.#sendAcks();
  }

  settle(): void {}

  closed(fault: AmqpFault | null): void {
    if (fault !== null) this.#failed(fault);
  }

  /** The clock is read once a turn: a chunk is parsed in well under a millisecond. */
  #begin(): void {
    this.#active = true;
    this.#clock = clockUs();
    this.lastMs = performance.now();
  }

  #complete(): void {
    if (!this.#active) this.#begin();
    this.consumed++;
    if (this.#ackEvery > 0 && ++this.#unacked >= this.#ackEvery) this.#writeAck();
  }

  /** Acks come together in a buffer of our own until the end of the turn. Hot. */
  #writeAck(): void {
    this.#unacked = 0;
    if (this.#acksEnd === this.#acks.length) {
      this.#sendAcks();
      this.#connection.flush();
    }
    const tagAt = this.#acksEnd + ACK_TAG_AT;
    putLong(this.#acks, tagAt, this.#tagHigh);
    putLong(this.#acks, tagAt + 4, this.#tagLow);
    this.#acksEnd += this.#ackBytes;
  }

  #sendAcks(): void {
    if (this.#acksEnd > 0) this.#connection.out.append(this.#acks, 0, this.#acksEnd);
    this.#acksEnd = 0;
  }
}

function putLong(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
