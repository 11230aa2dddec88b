// One channel: takes its frames, holds its consumers and unsettled deliveries, numbers deliveries and confirms, answers
// in order, and closes itself when something is refused. What single methods do stands in basic.ts and topology.ts.

import type { Session } from "../core/identity/session.ts";
import type { Waiter } from "../core/pace.ts";
import { Queue } from "../core/queue.ts";
import { ChannelCounters } from "../core/statistics/counters.ts";
import type { Target } from "../core/target.ts";
import type { Servable } from "../core/turn.ts";
import type { VirtualHost } from "../core/virtual_host.ts";
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
  writeBasicNack,
  writeChannelClose,
  writeChannelCloseOk,
} from "../wire/amqp_methods.ts";
import { readLonglong } from "../wire/amqp_values.ts";
import { handleMethod } from "./basic.ts";
import { Confirms } from "./confirms.ts";
import type { AmqpConnection } from "./connection.ts";
import { type AmqpConsumer, writeReturn } from "./consumer.ts";
import { Deliveries } from "./deliveries.ts";
import type { ReplyConsumer } from "./direct_replies.ts";
import { AmqpError } from "./errors.ts";
import { NO_CONSUMERS, NO_ROUTE, Publisher, type PublisherHost } from "./publisher.ts";
import { readRareProperties, type Rewrite, type Sender } from "./rare_properties.ts";
import { Replies, type WriteReply } from "./replies.ts";
import { Transaction } from "./transaction.ts";

export class Channel implements PublisherHost, Sender, Servable {
  readonly number: number;
  readonly connection: AmqpConnection;
  readonly session: Session;
  readonly vhost: VirtualHost;
  readonly messageBytesMax: number;
  readonly consumers = new Map<string, AmqpConsumer>();
  /** The queue declared last, which an empty name in later methods stands for. */
  lastQueue: string | null = null;
  /** Prefetch of consumers to come, 0 for none. */
  consumerPrefetch = 0;
  /** The client takes deliveries (channel.flow), as its consumers know it. */
  flows = true;
  /** And as it said last. */
  #flowActive = true;
  /** They are woken at the end of the turn. */
  #waking = false;
  /** The consumer of its direct replies. */
  replyConsumer: ReplyConsumer | null = null;
  readonly replies: Replies;
  readonly counters = new ChannelCounters();
  readonly deliveries = new Deliveries(() => this.wakeConsumers(), this.counters);
  /** We have sent channel.close and wait for close-ok, or owe the peer one. */
  #closing = false;
  /** The peer has sent channel.close. */
  #peerClosed = false;
  #closed = false;
  /** The method in work, for close. */
  #methodId = 0;
  #confirms: Confirms | null = null;
  #confirmsDue = false;
  #transaction: Transaction | null = null;
  readonly #publisher: Publisher;

  constructor(number: number, connection: AmqpConnection, session: Session) {
    this.number = number;
    this.connection = connection;
    this.session = session;
    this.vhost = session.vhost;
    this.messageBytesMax = connection.services.settings.messageBytesMax;
    this.replies = new Replies(connection.services, (write) => this.#write(write), (change) => {
      connection.holdings.addReplies(change);
    });
    this.#publisher = new Publisher(this);
    connection.services.registry.channelOpened();
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
      return this.deliveries.acknowledge(readLonglong(bytes, at + 4), (bytes[at + 12]! & 1) !== 0);
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

  /** It is in the middle of a message. */
  get busy(): boolean {
    return this.#publisher.busy;
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
    this.connection.services.registry.channelClosed(this.vhost.name, this.counters);
    this.session.closeChannel();
    this.#publisher.release();
    // The last first: of a queue's tens of thousands each is found at the end, and nobody behind it has to move up.
    const consumers = [...this.consumers.values()].reverse();
    this.consumers.clear();
    for (const consumer of consumers) {
      consumer.ended = true;
      consumer.queue.removeConsumer(consumer);
    }
    this.replyConsumer?.close();
    this.rollBack();
    this.deliveries.requeueAll();
    // Only now: an auto-delete queue goes with its last consumer, and takes what was requeued with it.
    for (const { queue } of consumers) {
      if (queue.autoDelete && queue.consumers.length === 0) this.vhost.removeQueue(queue);
    }
  }

  /** The connection ends: nobody waits for replies any more. */
  abandon(): void {
    this.release();
    this.replies.clear();
  }

  /** Its confirms, when it asked for them. */
  get confirms(): Confirms | null {
    return this.#confirms;
  }

  get transaction(): Transaction | null {
    return this.#transaction;
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
  reply(write: WriteReply): void {
    this.replies.add(write);
  }

  /** Sends a reply when the definitions that were changed are on disk; at once when `changed` is false. */
  replyWhenDurable(changed: boolean, write: WriteReply): void {
    if (changed) this.replies.addDurable(write);
    else this.replies.add(write);
  }

  #write(write: WriteReply): void {
    if (this.connection.gone) return;
    write(this.connection.conn.out);
    this.connection.touch();
  }

  // Deliveries

  /** Now and then: closes itself when a delivery is out for too long. `nowMs` is monotonic. */
  tick(nowMs: number): void {
    // A policy may have changed a queue's timeout.
    for (const { noAck, queue } of this.consumers.values()) if (!noAck) this.deliveries.watch(queue);
    const timeoutMs = this.deliveries.overdueMs(nowMs, this.consumers.values());
    if (timeoutMs === null || this.#closed) return;
    this.#methodId = 0;
    const text = `delivery acknowledgement on channel ${this.number} timed out. Timeout value used: ${timeoutMs} ms. ` +
      "This timeout value can be configured, see consumers doc guide to learn more";
    this.fail(new AmqpError(406, text));
  }

  /** channel.flow: off, no consumer of the channel is given anything. */
  flow(active: boolean): void {
    this.#flowActive = active;
    if (active && this.consumers.size > 0) return this.wakeConsumers();
    if (this.flows === active) return;
    this.flows = active;
    for (const consumer of this.consumers.values()) consumer.flow(active);
  }

  /**
   * Something that held deliveries back is gone. Consumers are told once, at the end of the turn: they may be tens of
   * thousands, and what frees them may come as often.
   */
  wakeConsumers(): void {
    if (this.#waking || this.consumers.size === 0) return;
    this.#waking = true;
    this.connection.services.turn.serveLater(this);
  }

  /** The end of the turn. */
  serve(): boolean {
    this.#waking = false;
    const begins = this.#flowActive && !this.flows;
    if (begins) this.flows = true;
    for (const consumer of this.consumers.values()) {
      if (begins) consumer.flow(true);
      else consumer.queue.wake();
    }
    return false;
  }

  /** A queue is gone: tells the client, if it understands. */
  consumerCancelled(consumer: AmqpConsumer): void {
    this.consumers.delete(consumer.tag);
    if (!this.connection.understands("consumer_cancel_notify")) return;
    this.reply((out) => writeBasicCancel(out, this.number, { consumerTag: consumer.tag, noWait: true }));
  }

  // Publishing

  /** Of a publisher who does not consume as well: it waits for the consumers of what it published last. */
  makesWait(publisher: Waiter): boolean {
    for (const { consumers } of this.connection.channels) if (consumers.size > 0) return false;
    return this.#publisher.makesWait(publisher);
  }

  nowMs(): number {
    return this.connection.services.clock.nowMs;
  }

  authorizePublish(exchange: string, routingKeys: readonly string[]): void {
    this.session.authorize("write", "exchange", exchange);
    const target = this.vhost.exchanges.get(exchange);
    if (target === undefined) return;
    for (const routingKey of routingKeys) this.session.authorizeTopic("write", target, routingKey);
  }

  holdBody(bytes: number): void {
    this.connection.holdings.addBytes(bytes);
  }

  get holdsMuch(): boolean {
    return this.connection.holdings.areLarge;
  }

  readRare(flags: number, bytes: Uint8Array, at: number, size: number): Rewrite | null {
    return readRareProperties(this, flags, bytes, at, size);
  }

  get userName(): string {
    return this.connection.userName;
  }

  get impersonates(): boolean {
    return this.session.user.tags.has("impersonator");
  }

  get replyAddress(): string | null {
    return this.replyConsumer?.address ?? null;
  }

  returned(message: Message, replyCode: typeof NO_ROUTE | typeof NO_CONSUMERS): void {
    const replyText = replyCode === NO_ROUTE ? "NO_ROUTE" : "NO_CONSUMERS";
    const { conn, frameBytesMax } = this.connection;
    writeReturn(conn.out, this.number, replyCode, replyText, message, frameBytesMax);
    this.connection.touch();
  }

  replied(address: string, message: Message): boolean {
    return this.connection.services.replies.find(this.vhost, address)?.deliver(message) ?? false;
  }

  deliversNow(queue: Target): boolean {
    if (!(queue instanceof Queue)) return true;
    // What came before in this turn goes first.
    if (queue.store.readyCount > 0 && queue.serve()) this.connection.services.turn.serveLater(queue);
    return queue.store.readyCount === 0 && queue.consumers.some((consumer) => consumer.ready());
  }

  /** Hot. */
  published(toDisk: boolean, refused: boolean): void {
    this.#confirms?.add(toDisk, refused);
  }

  unstored(): boolean {
    this.connection.services.alarms.diskFull();
    if (this.#confirms === null) return false;
    this.#confirms.add(false, true);
    return true;
  }

  selectConfirms(): void {
    if (this.#transaction !== null) throw new AmqpError(406, "cannot switch from tx to confirm mode");
    this.#confirms ??= new Confirms(this.connection.services.commit, {
      acknowledge: (deliveryTag, multiple, count) => {
        this.counters.confirm += count;
        if (this.#closed || this.connection.gone) return;
        writeBasicAck(this.connection.conn.out, this.number, { deliveryTag, multiple });
        this.connection.touch();
      },
      refuse: (deliveryTag) => {
        writeBasicNack(this.connection.conn.out, this.number, { deliveryTag, multiple: false, requeue: false });
        this.connection.touch();
      },
      endOfTurn: () => {
        if (this.#confirmsDue) return;
        this.#confirmsDue = true;
        this.connection.endOfTurn(this);
      },
    });
  }

  /** The turn ends: confirms what needs no disk. */
  settleConfirms(): void {
    this.#confirmsDue = false;
    this.#confirms?.settleTurn();
  }

  // Transactions

  selectTransactions(): void {
    if (this.#confirms !== null) throw new AmqpError(406, "cannot switch from confirm to tx mode");
    this.#transaction ??= new Transaction((bytes) => this.connection.holdings.addBytes(bytes));
    this.#publisher.transaction = this.#transaction;
    this.deliveries.transaction = this.#transaction;
  }

  /** tx.commit: what was put off happens, in order, messages first. */
  commit(): void {
    const transaction = this.#expectTransaction();
    let complete = true;
    for (const publication of transaction.takePublications()) {
      if (!this.#publisher.commit(publication)) complete = false;
    }
    this.deliveries.commit(transaction.takeSettlements());
    transaction.clear();
    if (!complete) throw new AmqpError(406, "partial tx completion");
    this.connection.services.commit.includeLazy();
  }

  /** tx.rollback. Refused without a transaction only when the client asks for it. */
  rollBack(asked = false): void {
    const transaction = asked ? this.#expectTransaction() : this.#transaction;
    if (transaction === null) return;
    this.deliveries.rollBack(transaction.takeSettlements());
    transaction.clear();
  }

  #expectTransaction(): Transaction {
    if (this.#transaction === null) throw new AmqpError(406, "channel is not transactional");
    return this.#transaction;
  }
}
