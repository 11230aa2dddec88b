// One consumer's reading of a stream: a cursor of its own, what it has been given and not settled, what it gave back,
// and how far it came. Giving a message back concerns nobody else.

import { Message } from "../store/message.ts";
import { Requeued } from "../store/requeued.ts";
import type { StreamCursor } from "../store/stream_cursor.ts";
import type { StreamStore } from "../store/stream_store.ts";
import { SPLICE_BYTES_MAX, spliceHeader } from "../wire/amqp_splice.ts";
import type { Source } from "./any_queue.ts";
import type { Consumer } from "./queue.ts";
import { InFlight } from "./stream_in_flight.ts";
import { startOf, type StreamReading } from "./stream_reading.ts";
import type { Servable, Turn } from "./turn.ts";

/** Bytes of records that all consumers together are given, or their filters pass over, before other work has its turn. */
const SERVE_BYTES_MAX = 1024 * 1024;
/** What each of them is given at least. */
const SERVE_BYTES_MIN = 64 * 1024;
const TWO_32 = 2 ** 32;
/** The header x-stream-offset: name, type `l`, and eight bytes to be filled in. */
const OFFSET_FIELD = Uint8Array.of(15, ...new TextEncoder().encode("x-stream-offset"), 0x6c, 0, 0, 0, 0, 0, 0, 0, 0);
const OFFSET_VALUE_AT = OFFSET_FIELD.length - 8;

/** What a reader needs of its stream. */
export interface ReadStream {
  readonly settings: Source["settings"];
  readonly counters: Source["counters"];
  readonly store: StreamStore;
  readonly gone: boolean;
  readonly consumers: readonly Consumer[];
  readonly turn: Turn;
  /** It is read. */
  used(): void;
}

export class StreamReader implements Servable, Source {
  readonly consumer: Consumer;
  readonly counters: Source["counters"];
  readonly #stream: ReadStream;
  readonly #cursor: StreamCursor;
  readonly #reading: StreamReading;
  readonly #inFlight = new InFlight();
  /** Offsets that the consumer gave back. */
  readonly #requeued = new Requeued();
  readonly #message = new Message();
  readonly #field = OFFSET_FIELD.slice();
  /** The header of the message that is being delivered. */
  #header = new Uint8Array(512);
  #queued = false;
  #closed = false;

  /** They change with policies. */
  get settings(): Source["settings"] {
    return this.#stream.settings;
  }

  constructor(stream: ReadStream, consumer: Consumer, reading: StreamReading) {
    const { store } = stream;
    this.consumer = consumer;
    this.counters = stream.counters;
    this.#stream = stream;
    this.#reading = reading;
    this.#cursor = store.cursor();
    this.#cursor.seek(startOf(reading, reading.tracked === null ? null : store.offsets.get(reading.tracked)));
  }

  wake(): void {
    if (this.#queued || this.#closed || this.#stream.gone) return;
    if (this.#cursor.atEnd && this.#requeued.count === 0) return;
    this.#queued = true;
    this.#stream.turn.serveLater(this);
  }

  serve(): boolean {
    this.#queued = false;
    if (this.#closed || this.#stream.gone) return false;
    this.#stream.used();
    const hasMore = this.#serve(this.consumer);
    // Who keeps up needs no window.
    if (this.#cursor.atEnd) this.#cursor.cool();
    return this.#queued = hasMore;
  }

  /** True when it stopped at its budget and has more. */
  #serve(consumer: Consumer): boolean {
    const message = this.#message;
    let bytes = Math.max(SERVE_BYTES_MIN, SERVE_BYTES_MAX / this.#stream.consumers.length);
    while (!this.#closed && !this.#stream.gone && consumer.ready()) {
      if (bytes <= 0) return true;
      if (!this.#next(message)) return false;
      bytes -= message.recordBytes;
      if (!message.redelivered) {
        if (this.#reading.filter !== null && !this.#reading.filter.matches(message)) continue;
        this.#inFlight.add(message.position, this.#cursor.position);
      }
      this.#addOffset(message);
      consumer.deliver(message);
    }
    return false;
  }

  /** Those that were given back come first. */
  #next(message: Message): boolean {
    while (this.#requeued.count > 0) {
      const offset = this.#requeued.pop();
      if (this.#cursor.read(this.#inFlight.positionOf(offset)!, offset, message)) {
        message.redelivered = true;
        return true;
      }
      // Retention took it, or it is damaged.
      this.#done(offset);
    }
    return this.#cursor.next(message);
  }

  /** Hot. */
  settle(offset: number): void {
    if (!this.#stream.gone) this.#done(offset);
  }

  /** As with RabbitMQ, the same to a stream. */
  reject(offset: number): void {
    this.settle(offset);
  }

  requeue(offset: number): void {
    if (this.#closed || this.#stream.gone) return;
    this.#requeued.push(offset);
    this.wake();
  }

  /** The consumer leaves: what it has not settled stays unsettled, and is where it goes on if it is remembered. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cursor.close();
  }

  #done(offset: number): void {
    const settledTo = this.#inFlight.settle(offset);
    const { tracked } = this.#reading;
    if (tracked === null || settledTo < 0) return;
    // With nothing in flight also what the filter passed over is done with.
    const next = this.#inFlight.count === 0 ? this.#cursor.offset : settledTo + 1;
    this.#stream.store.track(tracked, next);
  }

  #addOffset(message: Message): void {
    const field = this.#field;
    const { position, headerBytes } = message;
    putLong(field, OFFSET_VALUE_AT, Math.floor(position / TWO_32));
    putLong(field, OFFSET_VALUE_AT + 4, position % TWO_32);
    const room = headerBytes + field.length + SPLICE_BYTES_MAX;
    if (room > this.#header.length) this.#header = new Uint8Array(2 * room);
    message.headerBytes = spliceHeader(message.header, message.headerAt, headerBytes, field, this.#header);
    message.header = this.#header;
    message.headerAt = 0;
  }
}

function putLong(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
