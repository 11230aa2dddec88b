// A queue that keeps nothing: what is published is handed to its one consumer within the call, and dropped when there is
// none or it takes no more. MQTT's subscriptions with QoS 0 are such queues: visible and bound like any other, and free of
// files. No client can declare one.

import { assert } from "../lib/assert.ts";
import type { Message } from "../store/message.ts";
import type { AnyQueue, MessageGetter, QueueFiles, Source } from "./any_queue.ts";
import type { Arguments } from "./arguments.ts";
import type { Binding } from "./exchange.ts";
import type { Consumer, Owner } from "./consumer.ts";
import { Refusal } from "./refusal.ts";
import { QueueCounters } from "./statistics/counters.ts";

export const DIRECT_QUEUE_TYPE = "mqtt-qos0";
/** Of every such queue: in the definitions log they say what it is. */
export const DIRECT_QUEUE_ARGUMENTS: Arguments = new Map([["x-queue-type", DIRECT_QUEUE_TYPE]]);

const NO_FILES: QueueFiles = { segmentCount: 0, cool() {}, close() {}, destroy() {} };
const NO_MESSAGES = { readyCount: 0, unackedCount: 0 };
const SETTINGS = { type: DIRECT_QUEUE_TYPE, consumerTimeoutMs: null } as const;

export class DirectQueue implements AnyQueue, Source {
  readonly kind = "queue";
  readonly name: string;
  readonly id: number;
  readonly durable: boolean;
  readonly keepsAll = false;
  readonly autoDelete = false;
  readonly owner: Owner | null;
  readonly args = DIRECT_QUEUE_ARGUMENTS;
  readonly settings = SETTINGS;
  readonly store = NO_FILES;
  readonly policy = null;
  readonly counters = new QueueCounters(NO_MESSAGES);
  readonly boundFrom = new Set<Binding>();
  readonly consumers: Consumer[] = [];
  readonly messageCount = 0;
  gone = false;
  warm = false;
  /** Messages that nobody took. */
  dropped = 0;

  constructor(name: string, id: number, durable: boolean, owner: Owner | null) {
    this.name = name;
    this.id = id;
    this.durable = durable;
    this.owner = owner;
  }

  /** It is to survive a restart; its messages never do. */
  get logged(): boolean {
    return this.durable && this.owner === null;
  }

  /** Hot. */
  publish(message: Message): boolean {
    const consumer = this.consumers[0];
    this.counters.publish++;
    if (consumer !== undefined && consumer.ready()) {
      this.counters.deliverNoAck++;
      consumer.deliver(message);
    } else {
      this.dropped++;
    }
    return true;
  }

  makesWait(): boolean {
    return false;
  }

  addConsumer(consumer: Consumer, where: string): Source {
    if (this.consumers.length > 0) throw new Refusal("access-refused", `${where} in exclusive use`);
    this.consumers.push(consumer);
    return this;
  }

  removeConsumer(consumer: Consumer): boolean {
    if (this.consumers[0] !== consumer) return false;
    this.consumers.length = 0;
    return true;
  }

  wake(): void {}

  settle(): void {}

  reject(): void {}

  requeue(): void {}

  get getter(): MessageGetter {
    throw new Refusal("not-implemented", `basic.get not supported by queue '${this.name}', which keeps nothing`);
  }

  observe(): never {
    throw new Refusal("not-implemented", `queue '${this.name}' keeps nothing: follow the exchange that it is bound to`);
  }

  purge(): number {
    return 0;
  }

  renew(): void {
    assert(!this.gone, "a queue was declared again that is gone");
  }

  /** No policy means anything to it. */
  configure(): void {}

  end(): Consumer[] {
    this.gone = true;
    return this.consumers.splice(0);
  }
}
