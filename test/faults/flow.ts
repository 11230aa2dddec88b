// Load for the cases that need much of it: publishers with a window of confirms, consumers that acknowledge, and the
// book of both, exact to the message. Octets of their own; nothing of src/.

import type { Socket } from "node:net";
import { RawAmqp } from "../support/raw_amqp.ts";
import { BODY, METHOD, PERSISTENT } from "../support/raw_bytes.ts";
import { basic, CAPABILITIES, confirm } from "../support/raw_methods.ts";

const SENT = 1;
const CONFIRMED = 2;
const NACKED = 3;
/** Publisher and number stand first in each body. */
const ID_BYTES = 8;
const BATCH = 32;
const SOCKET_BYTES_MAX = 512 * 1024;

const BASIC_DELIVER = 60 << 16 | 60;
const BASIC_ACK = 60 << 16 | 80;
const BASIC_NACK = 60 << 16 | 120;
const BLOCKED = 10 << 16 | 60;
const UNBLOCKED = 10 << 16 | 61;
const CLOSES: readonly number[] = [10 << 16 | 50, 20 << 16 | 40];

/** Numbers by index, all 0 at first. */
class Marks {
  #marks = new Uint8Array(1024);

  get(index: number): number {
    return this.#marks[index] ?? 0;
  }

  set(index: number, mark: number): void {
    if (index >= this.#marks.length) {
      const larger = new Uint8Array(Math.max(index + 1, 2 * this.#marks.length));
      larger.set(this.#marks);
      this.#marks = larger;
    }
    this.#marks[index] = mark;
  }
}

/** What was sent, confirmed and delivered. */
export class Book {
  readonly #sent: Marks[] = [];
  readonly #counts: number[] = [];
  readonly #delivered: Marks[] = [];
  phantom = 0;
  deliveries = 0;
  /** First deliveries. */
  delivered = 0;

  newPublisher(): number {
    this.#sent.push(new Marks());
    this.#delivered.push(new Marks());
    this.#counts.push(0);
    return this.#counts.length - 1;
  }

  sent(publisher: number): number {
    this.#sent[publisher]!.set(this.#counts[publisher]!, SENT);
    return this.#counts[publisher]!++;
  }

  mark(publisher: number, number: number, mark: number): boolean {
    const marks = this.#sent[publisher]!;
    if (marks.get(number) !== SENT) return false;
    marks.set(number, mark);
    return true;
  }

  deliver(publisher: number, number: number): void {
    this.deliveries++;
    if ((this.#sent[publisher]?.get(number) ?? 0) === 0) this.phantom++;
    else if (this.#delivered[publisher]!.get(number) === 0) {
      this.#delivered[publisher]!.set(number, 1);
      this.delivered++;
    }
  }

  /** Confirmed and not delivered. */
  get lost(): number {
    return this.#count((mark, delivered) => mark === CONFIRMED && !delivered);
  }

  get confirmed(): number {
    return this.#count((mark) => mark === CONFIRMED);
  }

  #count(matches: (mark: number, delivered: boolean) => boolean): number {
    let count = 0;
    for (const [publisher, marks] of this.#sent.entries()) {
      for (let number = 0; number < this.#counts[publisher]!; number++) {
        if (matches(marks.get(number), this.#delivered[publisher]!.get(number) > 0)) count++;
      }
    }
    return count;
  }
}

type OnFrame = (type: number, bytes: Buffer, at: number, size: number) => void;

/** Hands the frames of a socket over, in place. */
function readFrames(socket: Socket, onFrame: OnFrame, onChunk: () => void): void {
  let rest = Buffer.alloc(0);
  socket.removeAllListeners("data");
  socket.on("data", (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 8) {
      const size = bytes.readUInt32BE(at + 3);
      if (bytes.length - at < size + 8) break;
      onFrame(bytes[at]!, bytes, at + 7, size);
      at += size + 8;
    }
    rest = Buffer.from(bytes.subarray(at));
    onChunk();
  });
}

/** What both are: an open connection with channel 1, and why it ended. */
class Flow {
  readonly client: RawAmqp;
  /** Why the broker closed channel or connection, or null. */
  ended: string | null = null;
  closing = false;

  protected constructor(client: RawAmqp) {
    this.client = client;
    client.closed.then(() => this.ended ??= this.closing ? null : `the connection is gone: ${client.error}`);
  }

  protected closed(bytes: Buffer, at: number): void {
    const textBytes = bytes[at + 6]!;
    this.ended = `${bytes.readUInt16BE(at + 4)} ${bytes.toString("utf8", at + 7, at + 7 + textBytes)}`;
  }

  destroy(): void {
    this.closing = true;
    this.client.socket.destroy();
  }
}

export interface PublisherOptions {
  readonly queue: string;
  readonly bodyBytes: number;
  /** Unconfirmed messages at most. */
  readonly window: number;
  readonly exchange?: string;
}

export class FlowPublisher extends Flow {
  isBlocked = false;
  /** performance.now() of the last connection.blocked, and of the last connection.unblocked. */
  blockedMs = 0;
  unblockedMs = 0;
  blocks = 0;
  confirmed = 0;
  nacked = 0;
  sent = 0;
  readonly #book: Book;
  readonly #publisher: number;
  readonly #options: PublisherOptions;
  #low = 0;
  #stopped = false;
  #wake: (() => void) | null = null;

  static async open(port: number, book: Book, options: PublisherOptions): Promise<FlowPublisher> {
    const properties = { capabilities: { ...CAPABILITIES.capabilities, "connection.blocked": true } };
    const client = await RawAmqp.open(port, { channels: 1, properties });
    await client.call("confirm.select-ok", confirm.select(1));
    const publisher = new FlowPublisher(client, book, options);
    publisher.#run();
    return publisher;
  }

  private constructor(client: RawAmqp, book: Book, options: PublisherOptions) {
    super(client);
    this.#book = book;
    this.#publisher = book.newPublisher();
    this.#options = options;
    readFrames(client.socket, (type, bytes, at) => this.#frame(type, bytes, at), () => this.#wake?.());
    client.socket.on("drain", () => this.#wake?.());
  }

  /** Sends no more. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  get unconfirmed(): number {
    return this.sent - this.confirmed - this.nacked;
  }

  async #run(): Promise<void> {
    const { bodyBytes, window, queue, exchange = "" } = this.#options;
    const template = basic.publish(1, queue, Buffer.alloc(bodyBytes, 0x2e), { ...PERSISTENT, exchange });
    const idAt = template.length - 1 - bodyBytes;
    while (!this.#stopped && this.ended === null && !this.client.ended) {
      const count = Math.min(BATCH, window - this.unconfirmed);
      if (count <= 0 || this.client.socket.writableLength > SOCKET_BYTES_MAX) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        continue;
      }
      const batch = Buffer.allocUnsafe(count * template.length);
      for (let index = 0; index < count; index++) {
        const at = index * template.length;
        template.copy(batch, at);
        batch.writeUInt32BE(this.#publisher, at + idAt);
        batch.writeUInt32BE(this.#book.sent(this.#publisher), at + idAt + 4);
      }
      this.sent += count;
      this.client.socket.write(batch);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #frame(type: number, bytes: Buffer, at: number): void {
    if (type !== METHOD) return;
    const id = bytes.readUInt32BE(at);
    if (id === BASIC_ACK || id === BASIC_NACK) this.#settle(bytes, at, id === BASIC_ACK);
    else if (id === BLOCKED) {
      this.isBlocked = true;
      this.blocks++;
      this.blockedMs = performance.now();
    } else if (id === UNBLOCKED) {
      this.isBlocked = false;
      this.unblockedMs = performance.now();
    } else if (CLOSES.includes(id)) this.closed(bytes, at);
  }

  #settle(bytes: Buffer, at: number, isAck: boolean): void {
    const number = Number(bytes.readBigUInt64BE(at + 4)) - 1;
    const multiple = (bytes[at + 12]! & 1) !== 0;
    for (let index = multiple ? this.#low : number; index <= number; index++) {
      if (!this.#book.mark(this.#publisher, index, isAck ? CONFIRMED : NACKED)) continue;
      if (isAck) this.confirmed++;
      else this.nacked++;
    }
    if (multiple) this.#low = number + 1;
  }
}

export interface ConsumerOptions {
  readonly queue: string;
  readonly prefetch: number;
  /** Every n-th message is not acknowledged for now, so that acknowledgements have holes. 0: none. */
  readonly holdEvery?: number;
}

export class FlowConsumer extends Flow {
  received = 0;
  /** When the last delivery came, performance.now(). */
  lastMs = 0;
  readonly #book: Book;
  readonly #holdEvery: number;
  #publisher = -1;
  #tag = 0;
  #expectsId = false;
  #held: number[] = [];
  #acks: Buffer[] = [];

  static async open(port: number, book: Book, options: ConsumerOptions): Promise<FlowConsumer> {
    const client = await RawAmqp.open(port, { channels: 1 });
    await client.call("basic.qos-ok", basic.qos(1, options.prefetch));
    const consumer = new FlowConsumer(client, book, options.holdEvery ?? 0);
    client.send(basic.consume(1, options.queue, { noWait: true }));
    return consumer;
  }

  private constructor(client: RawAmqp, book: Book, holdEvery: number) {
    super(client);
    this.#book = book;
    this.#holdEvery = holdEvery;
    readFrames(client.socket, (type, bytes, at) => this.#frame(type, bytes, at), () => this.#acknowledge());
  }

  get heldCount(): number {
    return this.#held.length;
  }

  /** Acknowledges those that were held. */
  release(): void {
    for (const tag of this.#held) this.#acks.push(basic.ack(1, tag));
    this.#held = [];
    this.#acknowledge();
  }

  #frame(type: number, bytes: Buffer, at: number): void {
    if (type === BODY && this.#expectsId) {
      this.#expectsId = false;
      this.#publisher = bytes.readUInt32BE(at);
      this.#book.deliver(this.#publisher, bytes.readUInt32BE(at + 4));
      this.received++;
      this.lastMs = performance.now();
      if (this.#holdEvery > 0 && this.received % this.#holdEvery === 0) this.#held.push(this.#tag);
      else this.#acks.push(basic.ack(1, this.#tag));
    } else if (type === METHOD) {
      const id = bytes.readUInt32BE(at);
      if (CLOSES.includes(id)) this.closed(bytes, at);
      if (id !== BASIC_DELIVER) return;
      this.#tag = Number(bytes.readBigUInt64BE(at + 5 + bytes[at + 4]!));
      this.#expectsId = true;
    }
  }

  #acknowledge(): void {
    if (this.#acks.length === 0 || this.client.ended) return;
    const acks = Buffer.concat(this.#acks);
    this.#acks = [];
    this.client.socket.write(acks);
  }
}

export const BODY_BYTES_MIN = ID_BYTES;
