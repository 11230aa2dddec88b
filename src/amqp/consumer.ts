// A consumer of an AMQP channel: whether it takes one more message, and how a delivery is written. The three frames of
// a delivery go into the connection's out-buffer in one piece, copied as they were stored.

import type { AnyQueue, ConsumeRequest, Source } from "../core/any_queue.ts";
import type { Consumer, ShownConsumer } from "../core/consumer.ts";
import type { ChannelCounters, QueueCounters } from "../core/statistics/counters.ts";
import { copyBytes, type OutBuffer } from "../lib/out_buffer.ts";
import type { Message } from "../store/message.ts";
import {
  FRAME_BODY,
  FRAME_END,
  FRAME_HEADER,
  FRAME_METHOD,
  FRAME_OVERHEAD_BYTES,
  putFrameHead,
  writeBody,
} from "../wire/amqp_frame.ts";
import { METHOD_BASIC_GET_OK, METHOD_BASIC_RETURN } from "../wire/amqp_methods.ts";
import {
  beginMethod,
  endFrame,
  putLong,
  putLonglong,
  putOctet,
  putShort,
  putShortString,
} from "../wire/amqp_values.ts";
import type { Channel } from "./channel.ts";
import type { Deliveries } from "./deliveries.ts";
import { fromTable } from "./field_values.ts";
import { LiveAmqpConsumer } from "./live.ts";

/** Method id, delivery tag, redelivered. */
const DELIVER_FIXED_BYTES = 4 + 8 + 1;
const TWO_POW_32 = 0x1_0000_0000;

export interface ConsumerOptions {
  readonly noAck: boolean;
  readonly exclusive: boolean;
  readonly prefetch: number;
  readonly priority: number;
}

export class AmqpConsumer implements Consumer {
  // What each delivery looks at comes first: with thousands of consumers in turn it matters that it lies together.
  readonly noAck: boolean;
  /** consume-ok is written, and the channel's flow is on: deliveries may follow. */
  #flows = false;
  readonly #channel: Channel;
  readonly #deliveries: Deliveries;
  readonly #tagBytes: Uint8Array;
  readonly #counters: ChannelCounters;
  readonly #queueCounters: QueueCounters;
  /** Where its deliveries go back to. */
  #source!: Source;
  /** Deliveries it holds. */
  unsettled = 0;
  /** Deliveries it may hold unsettled. */
  readonly #unsettledMax: number;
  readonly tag: string;
  readonly queue: AnyQueue;
  readonly exclusive: boolean;
  readonly priority: number;
  /** What the client set, 0 for nothing. */
  readonly prefetch: number;
  /** Cancelled; what it holds stays with the channel. */
  ended = false;
  #started = false;
  /** What management shows of it. */
  shown!: ShownConsumer;

  constructor(
    channel: Channel,
    queue: AnyQueue,
    tag: string,
    options: ConsumerOptions,
  ) {
    this.#channel = channel;
    this.#counters = channel.counters;
    this.#queueCounters = queue.counters;
    this.#deliveries = channel.deliveries;
    this.queue = queue;
    this.tag = tag;
    this.noAck = options.noAck;
    this.exclusive = options.exclusive;
    this.prefetch = options.prefetch;
    this.#unsettledMax = options.prefetch || channel.connection.services.settings.consumerPrefetch || Infinity;
    this.priority = options.priority;
    this.#tagBytes = shortString(tag);
  }

  /** Joins its queue. Throws when the queue refuses it. */
  attach(where: string, args: ConsumeRequest["args"], prefetchIsShared: boolean): void {
    const { tag, prefetch } = this;
    this.shown = new LiveAmqpConsumer(this, fromTable(args), this.#channel);
    this.#source = this.queue.addConsumer(this, where, { tag, prefetch, prefetchIsShared, args });
  }

  /** From now on deliveries may come. */
  start(): void {
    this.#started = true;
    this.flow(this.#channel.flows);
  }

  /** channel.flow: whether deliveries may come. */
  flow(active: boolean): void {
    this.#flows = active && this.#started;
    if (this.#flows) this.#source.wake();
  }

  /** Hot. */
  ready(): boolean {
    if (!this.#flows) return false;
    if (!this.noAck) {
      if (this.unsettled >= this.#unsettledMax) return false;
      if (!this.#deliveries.hasCredit()) return false;
    }
    return this.#channel.connection.writable();
  }

  /** Hot. */
  deliver(message: Message): void {
    const channel = this.#channel;
    const deliveryTag = this.#deliveries.nextTag();
    writeDelivery(
      channel.connection.conn.out,
      channel.number,
      this.#tagBytes,
      deliveryTag,
      message,
      channel.connection.frameBytesMax,
    );
    channel.connection.touch();
    const { position, recordBytes, bodyBytes } = message;
    const counters = this.#counters;
    const queueCounters = this.#queueCounters;
    if (message.redelivered) {
      counters.redeliver++;
      queueCounters.redeliver++;
    }
    if (this.noAck) {
      counters.deliverNoAck++;
      queueCounters.deliverNoAck++;
      this.#source.settle(position, recordBytes, bodyBytes);
    } else {
      counters.deliver++;
      queueCounters.deliver++;
      this.unsettled++;
      this.#deliveries.hold(deliveryTag, this.#source, this, position, recordBytes, bodyBytes);
    }
  }

  cancelled(): void {
    this.ended = true;
    this.#channel.consumerCancelled(this);
  }
}

/** A short string as it stands in a frame. */
export function shortString(value: string): Uint8Array {
  const text = new TextEncoder().encode(value);
  const bytes = new Uint8Array(1 + text.length);
  bytes[0] = text.length;
  bytes.set(text, 1);
  return bytes;
}

/** Writes basic.deliver, content header and bodies. Hot. */
export function writeDelivery(
  out: OutBuffer,
  channel: number,
  consumerTag: Uint8Array,
  deliveryTag: number,
  message: Message,
  frameBytesMax: number,
): void {
  const { routeBytes, headerBytes, bodyBytes } = message;
  const tagBytes = consumerTag.length;
  const methodBytes = DELIVER_FIXED_BYTES + tagBytes + routeBytes;
  const oneFrame = bodyBytes > 0 && bodyBytes + FRAME_OVERHEAD_BYTES <= frameBytesMax;
  const contentBytes = methodBytes + headerBytes + 4 + 2 * FRAME_OVERHEAD_BYTES;
  const total = oneFrame ? contentBytes + bodyBytes + FRAME_OVERHEAD_BYTES : contentBytes;
  let at = out.reserve(total);
  const bytes = out.bytes;
  at = putFrameHead(bytes, at, FRAME_METHOD, channel, methodBytes);
  bytes[at] = 0;
  bytes[at + 1] = 60;
  bytes[at + 2] = 0;
  bytes[at + 3] = 60;
  at += 4;
  for (let i = 0; i < tagBytes; i++) bytes[at + i] = consumerTag[i]!;
  at += tagBytes;
  at = writeTag(bytes, at, deliveryTag);
  bytes[at++] = message.redelivered ? 1 : 0;
  copyBytes(message.route, message.routeAt, bytes, at, routeBytes);
  at += routeBytes;
  bytes[at++] = FRAME_END;
  at = writeContentHeader(bytes, at, channel, message);
  if (oneFrame) {
    at = putFrameHead(bytes, at, FRAME_BODY, channel, bodyBytes);
    copyBytes(message.body, message.bodyAt, bytes, at, bodyBytes);
    bytes[at + bodyBytes] = FRAME_END;
  } else {
    writeBody(out, channel, message.body, message.bodyAt, bodyBytes, frameBytesMax);
  }
}

/** Writes basic.get-ok and the message; its route as it came, which need not be UTF-8. */
export function writeGetOk(
  out: OutBuffer,
  channel: number,
  deliveryTag: number,
  messageCount: number,
  message: Message,
  frameBytesMax: number,
): void {
  const mark = beginMethod(out, channel, METHOD_BASIC_GET_OK);
  putLonglong(out, deliveryTag);
  putOctet(out, message.redelivered ? 1 : 0);
  out.append(message.route, message.routeAt, message.routeBytes);
  putLong(out, messageCount);
  endFrame(out, mark);
  writeContent(out, channel, message, frameBytesMax);
}

/** Writes basic.return and the message; its route as it came, which need not be UTF-8. */
export function writeReturn(
  out: OutBuffer,
  channel: number,
  replyCode: number,
  replyText: string,
  message: Message,
  frameBytesMax: number,
): void {
  const mark = beginMethod(out, channel, METHOD_BASIC_RETURN);
  putShort(out, replyCode);
  putShortString(out, replyText);
  out.append(message.route, message.routeAt, message.routeBytes);
  endFrame(out, mark);
  writeContent(out, channel, message, frameBytesMax);
}

/** Writes the header and the bodies of a message that follow another method (basic.get-ok, basic.return). */
function writeContent(out: OutBuffer, channel: number, message: Message, frameBytesMax: number): void {
  const at = out.reserve(message.headerBytes + 4 + FRAME_OVERHEAD_BYTES);
  writeContentHeader(out.bytes, at, channel, message);
  writeBody(out, channel, message.body, message.bodyAt, message.bodyBytes, frameBytesMax);
}

/** Hot. */
function writeContentHeader(bytes: Uint8Array, at: number, channel: number, message: Message): number {
  at = putFrameHead(bytes, at, FRAME_HEADER, channel, message.headerBytes + 4);
  bytes[at] = 0;
  bytes[at + 1] = 60;
  bytes[at + 2] = 0;
  bytes[at + 3] = 0;
  at += 4;
  copyBytes(message.header, message.headerAt, bytes, at, message.headerBytes);
  at += message.headerBytes;
  bytes[at++] = FRAME_END;
  return at;
}

/** A delivery tag, eight bytes. Hot. */
function writeTag(bytes: Uint8Array, at: number, tag: number): number {
  const high = tag < TWO_POW_32 ? 0 : Math.floor(tag / TWO_POW_32);
  const low = tag >>> 0;
  bytes[at] = high >>> 24;
  bytes[at + 1] = high >>> 16;
  bytes[at + 2] = high >>> 8;
  bytes[at + 3] = high;
  bytes[at + 4] = low >>> 24;
  bytes[at + 5] = low >>> 16;
  bytes[at + 6] = low >>> 8;
  bytes[at + 7] = low;
  return at + 8;
}
