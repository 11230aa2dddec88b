// What is counted of messages: plain fields that the paths of messages add to, nothing more. Each class says which numbers
// a sample of it has, counters first, then gauges.

import type { Series } from "./series.ts";

/** Something of which samples are taken. */
export interface Sampled {
  /** The numbers of a sample, in order. */
  readonly fields: readonly string[];
  /** So many of them, the first ones, only ever grow. */
  readonly counterCount: number;
  /** Null as long as nothing was counted. */
  series: Series | null;
  read(into: Float64Array): void;
}

const CHANNEL_FIELDS = [
  "publish",
  "confirm",
  "return_unroutable",
  "drop_unroutable",
  "deliver",
  "deliver_no_ack",
  "get",
  "get_no_ack",
  "get_empty",
  "ack",
  "redeliver",
] as const;
export type ChannelField = typeof CHANNEL_FIELDS[number];

/** Of a channel, of a virtual host, of the broker. */
export class ChannelCounters implements Sampled {
  publish = 0;
  confirm = 0;
  returnUnroutable = 0;
  dropUnroutable = 0;
  deliver = 0;
  deliverNoAck = 0;
  get = 0;
  getNoAck = 0;
  getEmpty = 0;
  ack = 0;
  redeliver = 0;
  series: Series | null = null;

  get fields(): readonly ChannelField[] {
    return CHANNEL_FIELDS;
  }

  get counterCount(): number {
    return CHANNEL_FIELDS.length;
  }

  read(into: Float64Array): void {
    into[0] = this.publish;
    into[1] = this.confirm;
    into[2] = this.returnUnroutable;
    into[3] = this.dropUnroutable;
    into[4] = this.deliver;
    into[5] = this.deliverNoAck;
    into[6] = this.get;
    into[7] = this.getNoAck;
    into[8] = this.getEmpty;
    into[9] = this.ack;
    into[10] = this.redeliver;
  }

  add(other: ChannelCounters): void {
    this.publish += other.publish;
    this.confirm += other.confirm;
    this.returnUnroutable += other.returnUnroutable;
    this.dropUnroutable += other.dropUnroutable;
    this.deliver += other.deliver;
    this.deliverNoAck += other.deliverNoAck;
    this.get += other.get;
    this.getNoAck += other.getNoAck;
    this.getEmpty += other.getEmpty;
    this.ack += other.ack;
    this.redeliver += other.redeliver;
  }
}

const QUEUE_FIELDS = [
  "publish",
  "deliver",
  "deliver_no_ack",
  "get",
  "get_no_ack",
  "get_empty",
  "ack",
  "redeliver",
  "messages_ready",
  "messages_unacknowledged",
] as const;
const QUEUE_GAUGES = 2;

/** What a queue's counters need to see of it. */
export interface Countable {
  readonly readyCount: number;
  readonly unackedCount: number;
}

export class QueueCounters implements Sampled {
  publish = 0;
  deliver = 0;
  deliverNoAck = 0;
  get = 0;
  getNoAck = 0;
  getEmpty = 0;
  ack = 0;
  redeliver = 0;
  series: Series | null = null;
  /** What lies in the queue. */
  readonly messages: Countable;

  constructor(messages: Countable) {
    this.messages = messages;
  }

  /** Messages that consumers were given. */
  get given(): number {
    return this.deliver + this.deliverNoAck;
  }

  get fields(): readonly string[] {
    return QUEUE_FIELDS;
  }

  get counterCount(): number {
    return QUEUE_FIELDS.length - QUEUE_GAUGES;
  }

  read(into: Float64Array): void {
    into[0] = this.publish;
    into[1] = this.deliver;
    into[2] = this.deliverNoAck;
    into[3] = this.get;
    into[4] = this.getNoAck;
    into[5] = this.getEmpty;
    into[6] = this.ack;
    into[7] = this.redeliver;
    into[8] = this.messages.readyCount;
    into[9] = this.messages.unackedCount;
  }
}

const EXCHANGE_FIELDS = ["publish_in", "publish_out"] as const;

export class ExchangeCounters implements Sampled {
  publishIn = 0;
  publishOut = 0;
  series: Series | null = null;

  get fields(): readonly string[] {
    return EXCHANGE_FIELDS;
  }

  get counterCount(): number {
    return EXCHANGE_FIELDS.length;
  }

  read(into: Float64Array): void {
    into[0] = this.publishIn;
    into[1] = this.publishOut;
  }
}

const TRAFFIC_FIELDS = ["recv_oct", "send_oct"] as const;

/** Octets that went through sockets. */
export class Traffic implements Sampled {
  received = 0;
  sent = 0;
  series: Series | null = null;

  get fields(): readonly string[] {
    return TRAFFIC_FIELDS;
  }

  get counterCount(): number {
    return TRAFFIC_FIELDS.length;
  }

  read(into: Float64Array): void {
    into[0] = this.received;
    into[1] = this.sent;
  }

  add(other: Traffic): void {
    this.received += other.received;
    this.sent += other.sent;
  }
}

const CHURN_FIELDS = [
  "connection_created",
  "connection_closed",
  "channel_created",
  "channel_closed",
  "queue_declared",
  "queue_created",
  "queue_deleted",
] as const;

/** What came and went. */
export class Churn implements Sampled {
  connectionCreated = 0;
  connectionClosed = 0;
  channelCreated = 0;
  channelClosed = 0;
  queueDeclared = 0;
  queueCreated = 0;
  queueDeleted = 0;
  series: Series | null = null;

  get fields(): readonly string[] {
    return CHURN_FIELDS;
  }

  get counterCount(): number {
    return CHURN_FIELDS.length;
  }

  read(into: Float64Array): void {
    into[0] = this.connectionCreated;
    into[1] = this.connectionClosed;
    into[2] = this.channelCreated;
    into[3] = this.channelClosed;
    into[4] = this.queueDeclared;
    into[5] = this.queueCreated;
    into[6] = this.queueDeleted;
  }
}
