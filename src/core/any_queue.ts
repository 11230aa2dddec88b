// A queue as virtual hosts and protocols see it, of whatever type: `Queue`, whose messages are consumed, or `Stream`,
// whose messages stay.

import type { Message } from "../store/message.ts";
import type { FieldTable } from "../wire/amqp_table.ts";
import type { Arguments } from "./arguments.ts";
import type { Binding } from "./exchange.ts";
import type { Observer } from "./observers.ts";
import type { EffectivePolicy } from "./policies/policy.ts";
import type { Consumer, Owner } from "./queue.ts";
import type { QueueCounters } from "./statistics/counters.ts";
import type { Target } from "./target.ts";

export type QueueType = "classic" | "quorum" | "stream" | "mqtt-qos0";

/** Where a delivery goes back to: what settles it and what gives it anew. */
export interface Source {
  readonly settings: { readonly consumerTimeoutMs: number | null };
  /** Of the queue that it belongs to. */
  readonly counters: QueueCounters;
  /** Serves who waits at the end of this turn, if there is something to deliver. Hot; idempotent. */
  wake(): void;
  /** Hot. */
  settle(position: number, recordBytes: number, bodyBytes: number): void;
  /** A consumer wants it no more: basic.reject or basic.nack without requeue. */
  reject(position: number, recordBytes: number, bodyBytes: number): void;
  requeue(position: number, bodyBytes: number): void;
}

/** What a consumer asks for, for queues that care. */
export interface ConsumeRequest {
  readonly tag: string;
  /** Deliveries it may hold unsettled, 0 for any number. */
  readonly prefetch: number;
  /** Its prefetch is shared with other consumers. */
  readonly prefetchIsShared: boolean;
  readonly args: FieldTable;
}

export interface AnyQueue extends Target {
  readonly kind: "queue";
  readonly id: number;
  readonly autoDelete: boolean;
  /** The connection that alone may use it, or null. */
  readonly owner: Owner | null;
  readonly args: Arguments;
  readonly settings: Source["settings"] & { readonly type: QueueType };
  /** What holds beside its arguments; null for nothing. */
  readonly policy: EffectivePolicy | null;
  readonly boundFrom: Set<Binding>;
  readonly consumers: readonly Consumer[];
  readonly store: QueueFiles;
  readonly counters: QueueCounters;
  /** Deleted: takes and gives nothing any more. */
  readonly gone: boolean;
  /** Used since the last housekeeping; see `VirtualHost.cool`. */
  warm: boolean;
  /** Messages that are ready. */
  readonly messageCount: number;
  /** Returns where its deliveries go back to. Refuses who asks for what cannot be. */
  addConsumer(consumer: Consumer, where: string, request: ConsumeRequest): Source;
  /** Returns whether it was the last one. */
  removeConsumer(consumer: Consumer): boolean;
  wake(): void;
  /** Refuses where messages cannot be asked for one by one. */
  readonly getter: MessageGetter;
  /** Settles everything that is ready; returns how many. */
  purge(): number;
  /** Shows what comes in from now on to somebody; what it returns ends that. Refuses where nothing is kept. */
  observe(observer: Observer): () => void;
  /** Another policy holds, at once. */
  configure(policy: EffectivePolicy | null): void;
  /** Somebody declared it again. */
  renew(): void;
  /** The queue is deleted; returns the consumers that it had. */
  end(): Consumer[];
}

/** What gives messages one by one. */
export interface MessageGetter extends Source {
  readonly store: { readonly readyCount: number };
  /** Null when none is ready. The caller settles or requeues it. */
  get(): Message | null;
}

/** The files of a queue. */
export interface QueueFiles {
  /** How many segment files it has. */
  readonly segmentCount: number;
  cool(): void;
  close(): void;
  destroy(): void;
}
