// An open AMQP connection and its channels as management sees them. Asked for when they are shown; nothing is kept up
// to date for it.

import type { Arguments } from "../core/arguments.ts";
import type { ShownConsumer } from "../core/consumer.ts";
import type { ChannelCounters, Traffic } from "../core/statistics/counters.ts";
import type { ConnectionState, LiveChannel, LiveConnection } from "../core/statistics/registry.ts";
import { LiveSocket } from "../server/live_socket.ts";
import type { Channel } from "./channel.ts";
import type { AmqpConnection } from "./connection.ts";
import type { AmqpConsumer } from "./consumer.ts";
import { AmqpError } from "./errors.ts";
import type { Opened } from "./handshake.ts";

export class LiveAmqpConnection extends LiveSocket<AmqpConnection> implements LiveConnection {
  readonly protocol = "AMQP 0-9-1";
  readonly #opened: Opened;

  constructor(connection: AmqpConnection, opened: Opened) {
    super(connection);
    this.#opened = opened;
  }

  get user(): string {
    return this.#opened.session.user.name;
  }

  get vhost(): string {
    return this.#opened.vhost.name;
  }

  get authMechanism(): string {
    return this.#opened.mechanism;
  }

  get timeout(): number {
    return this.#opened.heartbeatSeconds;
  }

  get frameMax(): number {
    return this.#opened.frameBytesMax;
  }

  get channelMax(): number {
    return this.#opened.channelMax;
  }

  get clientProperties(): Arguments {
    return this.#opened.clientProperties;
  }

  get state(): ConnectionState {
    return this.connection.state;
  }

  get traffic(): Traffic {
    const { traffic } = this.connection;
    traffic.sent = this.connection.conn.sentBytes;
    return traffic;
  }

  get channelCount(): number {
    return this.connection.channelCount;
  }

  get channels(): Iterable<LiveChannel> {
    return this.#liveChannels();
  }

  *#liveChannels(): Generator<LiveChannel> {
    for (const channel of this.connection.channels) {
      if (!channel.released) yield new LiveAmqpChannel(channel);
    }
  }

  close(reason: string): void {
    this.connection.fail(new AmqpError(320, reason));
  }
}

export class LiveAmqpChannel implements LiveChannel {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  get number(): number {
    return this.#channel.number;
  }

  get name(): string {
    return `${this.connection.name} (${this.#channel.number})`;
  }

  get connection(): LiveConnection {
    return this.#channel.connection.live!;
  }

  get counters(): ChannelCounters {
    return this.#channel.counters;
  }

  get consumerCount(): number {
    return this.#channel.consumers.size;
  }

  get confirms(): boolean {
    return this.#channel.confirms !== null;
  }

  get transactional(): boolean {
    return this.#channel.transaction !== null;
  }

  get prefetchCount(): number {
    return this.#channel.consumerPrefetch;
  }

  get globalPrefetchCount(): number {
    return this.#channel.deliveries.prefetch;
  }

  get unacknowledgedCount(): number {
    return this.#channel.deliveries.unackedCount;
  }

  get unconfirmedCount(): number {
    return this.#channel.confirms?.openCount ?? 0;
  }

  get uncommittedCount(): number {
    return this.#channel.transaction?.publicationCount ?? 0;
  }

  get uncommittedAckCount(): number {
    return this.#channel.transaction?.settlementCount ?? 0;
  }

  get flowActive(): boolean {
    return this.#channel.flows;
  }
}

export class LiveAmqpConsumer implements ShownConsumer {
  readonly tag: string;
  readonly prefetch: number;
  readonly args: Arguments;
  readonly channel: LiveChannel;
  readonly #consumer: AmqpConsumer;

  constructor(consumer: AmqpConsumer, args: Arguments, channel: Channel) {
    this.tag = consumer.tag;
    this.prefetch = consumer.prefetch;
    this.args = args;
    this.channel = new LiveAmqpChannel(channel);
    this.#consumer = consumer;
  }

  get unsettledCount(): number {
    return this.#consumer.unsettled;
  }
}
