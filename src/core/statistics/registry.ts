// Who is connected, neutral of protocols: each protocol adds its connections, and what management shows of them is asked
// for when it is shown. Also the sums of channels and connections that are gone.

import type { Arguments } from "../arguments.ts";
import { ChannelCounters, Churn, Traffic } from "./counters.ts";

export type ConnectionState = "starting" | "running" | "blocking" | "blocked" | "flow" | "closing" | "closed";

/** An open connection of any protocol. Everything is as of the moment in which it is read. */
export interface LiveConnection {
  /** As RabbitMQ names connections: `127.0.0.1:51234 -> 127.0.0.1:5672`. */
  readonly name: string;
  /** As RabbitMQ names protocols: `AMQP 0-9-1`. */
  readonly protocol: string;
  readonly peerHost: string;
  readonly peerPort: number;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly vhost: string;
  readonly authMechanism: string;
  readonly connectedAtMs: number;
  /** Seconds between heartbeats, 0 for none. */
  readonly timeout: number;
  readonly frameMax: number;
  readonly channelMax: number;
  readonly clientProperties: Arguments;
  readonly state: ConnectionState;
  readonly traffic: Traffic;
  /** Chunks read and written. */
  readonly receivedCount: number;
  readonly sentCount: number;
  /** Bytes that wait to be sent. */
  readonly pendingBytes: number;
  readonly channels: Iterable<LiveChannel>;
  readonly channelCount: number;
  /** An operator ends it. */
  close(reason: string): void;
}

export interface LiveChannel {
  readonly number: number;
  /** `127.0.0.1:51234 -> 127.0.0.1:5672 (1)`. */
  readonly name: string;
  readonly connection: LiveConnection;
  readonly counters: ChannelCounters;
  readonly consumerCount: number;
  readonly confirms: boolean;
  readonly transactional: boolean;
  /** Of each new consumer, and of all together; 0 for none. */
  readonly prefetchCount: number;
  readonly globalPrefetchCount: number;
  readonly unacknowledgedCount: number;
  readonly unconfirmedCount: number;
  readonly uncommittedCount: number;
  readonly uncommittedAckCount: number;
  readonly flowActive: boolean;
}

export class Registry {
  readonly churn = new Churn();
  readonly #connections = new Set<LiveConnection>();
  readonly #byName = new Map<string, LiveConnection>();
  /** Sums of what is gone, by virtual host. */
  readonly #past = new Map<string, Past>();

  get connectionCount(): number {
    return this.#connections.size;
  }

  connections(): IterableIterator<LiveConnection> {
    return this.#connections.values();
  }

  connection(name: string): LiveConnection | null {
    return this.#byName.get(name) ?? null;
  }

  *channels(): IterableIterator<LiveChannel> {
    for (const connection of this.#connections) yield* connection.channels;
  }

  channel(name: string): LiveChannel | null {
    const connection = this.connection(name.replace(/ \(\d+\)$/, ""));
    for (const channel of connection?.channels ?? []) if (channel.name === name) return channel;
    return null;
  }

  opened(connection: LiveConnection): void {
    this.#connections.add(connection);
    this.#byName.set(connection.name, connection);
    this.churn.connectionCreated++;
  }

  /** Idempotent. */
  closed(connection: LiveConnection): void {
    if (!this.#connections.delete(connection)) return;
    if (this.#byName.get(connection.name) === connection) this.#byName.delete(connection.name);
    this.#pastOf(connection.vhost).traffic.add(connection.traffic);
    this.churn.connectionClosed++;
  }

  channelOpened(): void {
    this.churn.channelCreated++;
  }

  channelClosed(vhost: string, counters: ChannelCounters): void {
    this.#pastOf(vhost).counters.add(counters);
    this.churn.channelClosed++;
  }

  /** Where messages count that come and go without a channel. */
  aside(vhost: string): ChannelCounters {
    return this.#pastOf(vhost).counters;
  }

  /** A virtual host is gone: its sums are forgotten. */
  forget(vhost: string): void {
    this.#past.delete(vhost);
  }

  /** Sums over all channels and connections of each virtual host, open and gone. */
  totals(): Map<string, Past> {
    const totals = new Map<string, Past>();
    const of = (vhost: string): Past => {
      let sums = totals.get(vhost);
      if (sums === undefined) totals.set(vhost, sums = new Past());
      return sums;
    };
    for (const [vhost, { counters, traffic }] of this.#past) {
      const sums = of(vhost);
      sums.counters.add(counters);
      sums.traffic.add(traffic);
    }
    for (const connection of this.#connections) {
      const sums = of(connection.vhost);
      sums.traffic.add(connection.traffic);
      for (const channel of connection.channels) sums.counters.add(channel.counters);
    }
    return totals;
  }

  #pastOf(vhost: string): Past {
    let past = this.#past.get(vhost);
    if (past === undefined) this.#past.set(vhost, past = new Past());
    return past;
  }
}

export class Past {
  readonly counters = new ChannelCounters();
  readonly traffic = new Traffic();
}
