// One channel: takes its frames, holds its consumers and unsettled deliveries, numbers deliveries and confirms, answers
// in order, and closes itself when something is refused. What single methods do stands in basic.ts and topology.ts.

import type { Queue } from "../core/queue.ts";
import type { VirtualHost } from "../core/virtual_host.ts";
import type { OutBuffer } from "../lib/out_buffer.ts";
import type { Message } from "../store/message.ts";
import { FRAME_BODY, FRAME_HEADER, FRAME_METHOD } from "../wire/amqp_frame.ts";
import {
  decodeMethod,
  METHOD_BASIC_ACK,
  METHOD_BASIC_PUBLISH,
  METHOD_CHANNEL_CLOSE,
  METHOD_CHANNEL_CLOSE_OK,
  writeBasicAck,
  writeBasicCancel,
  writeBasicReturn,
  writeChannelClose,
  writeChannelCloseOk,
} from "../wire/amqp_methods.ts";
import { checkRareProperties } from "./rare_properties.ts";
import { handleMethod } from "./basic.ts";
import { Confirms } from "./confirms.ts";
import type { AmqpConnection } from "./connection.ts";
import { type AmqpConsumer, writeContent } from "./consumer.ts";
import { AmqpError } from "./errors.ts";
import { Publisher, type PublisherHost } from "./publisher.ts";
import { routeTexts } from "./route.ts";
import { type Delivery, Unacked } from "./unacked.ts";

/** What becomes of a delivery. */
type Outcome = typeof ACKNOWLEDGED | typeof REJECTED | typeof REQUEUED;
const ACKNOWLEDGED = 0;
const REJECTED = 1;
const REQUEUED = 2;

/** A reply that waits for its turn, and perhaps for the disk. */
interface PendingReply {
  ready: boolean;
  readonly write: (out: OutBuffer) => void;
}

export class Channel implements PublisherHost {
  readonly number: number;
  readonly connection: AmqpConnection;
  readonly vhost: VirtualHost;
  readonly messageBytesMax: number;
  readonly consumers = new Map<string, AmqpConsumer>();
  /** The queue declared last, which an empty name in later methods stands for. */
  lastQueue: string | null = null;
  /** Prefetch of consumers to come, 0 for none. */
  consumerPrefetch = 0;
  /** Shared by all consumers of the channel, 0 for none. */
  channelPrefetch = 0;
  /** Delivered by consumers with acknowledgements and not settled: what `channelPrefetch` bounds. */
  #unsettledCount = 0;
  /** We have sent channel.close and wait for close-ok, or owe the peer one. */
  #closing = false;
  /** The peer has sent channel.close. */
  #peerClosed = false;
  #closed = false;
  #deliveryTag = 0;
  /** The method in work, for close. */
  #methodId = 0;
  #confirms: Confirms | null = null;
  #confirmsDue = false;
  #replies: PendingReply[] = [];
  readonly #unacked = new Unacked();
  readonly #publisher: Publisher;
  readonly #settleAcked = (delivery: Delivery): void => this.#settle(delivery, ACKNOWLEDGED);
  readonly #settleRejected = (delivery: Delivery): void => this.#settle(delivery, REJECTED);
  readonly #settleRequeued = (delivery: Delivery): void => this.#settle(delivery, REQUEUED);

  constructor(number: number, connection: AmqpConnection, vhost: VirtualHost) {
    this.number = number;
    this.connection = connection;
    this.vhost = vhost;
    this.messageBytesMax = connection.services.settings.messageBytesMax;
    this.#publisher = new Publisher(this);
  }

  // Frames

  /** Hot. */
  frame(type: number, bytes: Uint8Array, at: number, size: number): void {
    if (type === FRAME_BODY) {
      if (!this.#closing) this.#publisher.body(bytes, at, size);
    } else if (type === FRAME_HEADER) {
      if (!this.#closing) this.#publisher.header(bytes, at, size);
    } else if (type === FRAME_METHOD) {
      this.#method(bytes, at, size);
    }
  }

  /** Hot. */
  #method(bytes: Uint8Array, at: number, size: number): void {
    if (size < 4) throw new AmqpError(501, "malformed method frame");
    const id = (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
    this.#methodId = id;
    if (this.#closing) return this.#methodWhileClosing(id);
    if (id === METHOD_BASIC_PUBLISH) return this.#publisher.begin(bytes, at + 4, size - 4);
    if (this.#publisher.busy) {
      throw new AmqpError(505, "expected content header for class 60, got non content header frame instead");
    }
    if (id === METHOD_BASIC_ACK && size === 13) {
      const high = bytes[at + 4]! * 0x1000000 + (bytes[at + 5]! << 16 | bytes[at + 6]! << 8 | bytes[at + 7]!);
      const low = bytes[at + 8]! * 0x1000000 + (bytes[at + 9]! << 16 | bytes[at + 10]! << 8 | bytes[at + 11]!);
      return this.acknowledge(high * 0x1_0000_0000 + low, (bytes[at + 12]! & 1) !== 0);
    }
    const method = decodeMethod(bytes, at, size);
    if (method.kind === METHOD_CHANNEL_CLOSE) {
      this.#answerClose();
    } else {
      handleMethod(this, method);
    }
  }

  /** After our channel.close everything is ignored until the peer has seen it. */
  #methodWhileClosing(id: number): void {
    if (this.#peerClosed) return;
    if (id === METHOD_CHANNEL_CLOSE) this.#answerClose();
    else if (id === METHOD_CHANNEL_CLOSE_OK) this.connection.forget(this);
  }

  /** close-ok comes behind the replies that the peer still waits for. */
  #answerClose(): void {
    this.release();
    this.#closing = true;
    this.#peerClosed = true;
    this.reply((out) => {
      writeChannelCloseOk(out, this.number);
      this.connection.forget(this);
    });
  }

  /** The chunk that is being read ends: nothing may refer to it any more. */
  detach(): void {
    if (this.#publisher.busy) this.#publisher.detach();
  }

  // Ending

  /** Refuses what the channel was asked: releases all it holds and tells the peer. */
  fail(error: AmqpError): void {
    if (this.#closing) return;
    const methodId = this.#methodId;
    this.reply((out) =>
      writeChannelClose(out, this.number, {
        replyCode: error.code,
        replyText: error.replyText,
        classId: methodId >>> 16,
        methodId: methodId & 0xFFFF,
      })
    );
    this.release();
    this.#closing = true;
  }

  /** Gives back all deliveries, in order, and leaves all queues. Idempotent. */
  release(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#publisher.release();
    const consumers = [...this.consumers.values()];
    this.consumers.clear();
    for (const consumer of consumers) {
      consumer.ended = true;
      consumer.queue.removeConsumer(consumer);
    }
    this.#unacked.takeUpTo(Infinity, this.#settleRequeued);
    // Only now: an auto-delete queue goes with its last consumer, and takes what was requeued with it.
    for (const { queue } of consumers) {
      if (queue.autoDelete && queue.consumers.length === 0) this.vhost.removeQueue(queue);
    }
  }

  /** The connection ends: nobody waits for replies any more. */
  abandon(): void {
    this.release();
    this.#replies = [];
  }

  /** It holds nothing any more, and may not be given anything. */
  get released(): boolean {
    return this.#closed;
  }

  /** The method in work: class and method number for connection.close. */
  get methodId(): number {
    return this.#methodId;
  }

  // Replies

  /** Sends a reply after those before it. */
  reply(write: (out: OutBuffer) => void): void {
    if (this.#replies.length === 0) this.#write(write);
    else this.#replies.push({ ready: true, write });
  }

  /** Sends a reply when the definitions that were changed are on disk; at once when `changed` is false. */
  replyWhenDurable(changed: boolean, write: (out: OutBuffer) => void): void {
    if (!changed) return this.reply(write);
    const pending: PendingReply = { ready: false, write };
    this.#replies.push(pending);
    const durable = (): void => {
      pending.ready = true;
      this.#sendReplies();
    };
    this.connection.services.commit.wait({ seal: () => {}, durable });
    this.connection.services.turn.schedule();
  }

  #sendReplies(): void {
    while (this.#replies[0]?.ready) this.#write(this.#replies.shift()!.write);
  }

  #write(write: (out: OutBuffer) => void): void {
    if (this.connection.gone) return;
    write(this.connection.conn.out);
    this.connection.touch();
  }

  // Deliveries

  /** Hot. */
  nextDeliveryTag(): number {
    return ++this.#deliveryTag;
  }

  /** Whether the channel's shared prefetch leaves room. Hot. */
  hasCredit(): boolean {
    return this.channelPrefetch === 0 || this.#unsettledCount < this.channelPrefetch;
  }

  /** A delivery that is to be settled. Hot. */
  holds(
    tag: number,
    queue: Queue,
    consumer: AmqpConsumer | null,
    position: number,
    recordBytes: number,
    bodyBytes: number,
  ): void {
    if (consumer !== null) this.#unsettledCount++;
    this.#unacked.push(tag, queue, consumer, position, recordBytes, bodyBytes);
  }

  /** basic.ack. Hot. */
  acknowledge(tag: number, multiple: boolean): void {
    this.#take(tag, multiple, this.#settleAcked);
  }

  /** basic.nack and basic.reject without requeue. */
  reject(tag: number, multiple: boolean): void {
    this.#take(tag, multiple, this.#settleRejected);
  }

  /** basic.nack and basic.reject with requeue. */
  requeue(tag: number, multiple: boolean): void {
    this.#take(tag, multiple, this.#settleRequeued);
  }

  /** basic.recover: everything back to its queue. */
  requeueAll(): void {
    this.#unacked.takeUpTo(Infinity, this.#settleRequeued);
    this.wakeConsumers();
  }

  #take(tag: number, multiple: boolean, settle: (delivery: Delivery) => void): void {
    if (this.#closed) return;
    const wasFull = !this.hasCredit();
    if (multiple && tag === 0) {
      this.#unacked.takeUpTo(Infinity, settle);
    } else if (multiple) {
      if (!this.#unacked.has(tag)) throw unknownTag(tag);
      this.#unacked.takeUpTo(tag, settle);
    } else if (!this.#unacked.take(tag, settle)) {
      throw unknownTag(tag);
    }
    if (wasFull) this.wakeConsumers();
  }

  #settle(delivery: Delivery, outcome: Outcome): void {
    const { queue, consumer } = delivery;
    if (consumer !== null) {
      consumer.unsettled--;
      this.#unsettledCount--;
    }
    const { position, recordBytes, bodyBytes } = delivery;
    if (outcome === REQUEUED) return queue.requeue(position, bodyBytes);
    if (outcome === ACKNOWLEDGED) queue.settle(position, recordBytes, bodyBytes);
    else queue.reject(position, recordBytes, bodyBytes);
    queue.wake();
  }

  /** Something that held deliveries back is gone. */
  wakeConsumers(): void {
    for (const consumer of this.consumers.values()) consumer.queue.wake();
  }

  /** A queue is gone: tells the client, if it understands. */
  consumerCancelled(consumer: AmqpConsumer): void {
    this.consumers.delete(consumer.tag);
    if (!this.connection.understands("consumer_cancel_notify")) return;
    this.reply((out) => writeBasicCancel(out, this.number, { consumerTag: consumer.tag, noWait: true }));
  }

  // Publishing

  nowMs(): number {
    return this.connection.services.clock.nowMs;
  }

  holdBody(bytes: number): void {
    this.connection.holdBody(bytes);
  }

  checkRare(flags: number, bytes: Uint8Array, at: number, size: number): void {
    checkRareProperties(this.connection.userName, flags, bytes, at, size);
  }

  returned(message: Message): void {
    const [exchange, routingKey] = routeTexts(message);
    const out = this.connection.conn.out;
    writeBasicReturn(out, this.number, { replyCode: 312, replyText: "NO_ROUTE", exchange, routingKey });
    writeContent(out, this.number, message, this.connection.frameBytesMax);
    this.connection.touch();
  }

  /** Hot. */
  published(toDisk: boolean, _refused: boolean): void {
    this.#confirms?.add(toDisk);
  }

  selectConfirms(): void {
    this.#confirms ??= new Confirms(
      this.connection.services.commit,
      (deliveryTag, multiple) => {
        if (this.#closed || this.connection.gone) return;
        writeBasicAck(this.connection.conn.out, this.number, { deliveryTag, multiple });
        this.connection.touch();
      },
      () => {
        if (this.#confirmsDue) return;
        this.#confirmsDue = true;
        this.connection.endOfTurn(this);
      },
    );
  }

  /** The turn ends: confirms what needs no disk. */
  settleConfirms(): void {
    this.#confirmsDue = false;
    this.#confirms?.settleTurn();
  }
}

function unknownTag(tag: number): AmqpError {
  return new AmqpError(406, `unknown delivery tag ${tag}`);
}
