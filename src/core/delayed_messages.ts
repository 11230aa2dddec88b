// What an exchange of type x-delayed-message holds back until it is due. The messages lie in a store of their own, all
// of them as if delivered and not settled; in memory is only when each is due and where it lies. One is settled when
// what became of it is on disk: a crash in between may double it, never lose it.

import { arrivalMs, steadyMs } from "../lib/clock.ts";
import type { MessageStore } from "../store/message_store.ts";
import { Message } from "../store/message.ts";
import { StoreFault } from "../store/store_event.ts";
import type { FieldTable } from "../wire/amqp_table.ts";
import { assert } from "../lib/assert.ts";
import { isDiskFull } from "../lib/disk_full.ts";
import { changedHeader } from "./changed_header.ts";
import { DueHeap } from "./due_heap.ts";
import { readHeaders } from "./message_headers.ts";
import type { Route } from "./exchanges/router.ts";
import type { Target } from "./target.ts";
import type { Timer, Timers } from "./timers.ts";

const HEADER = "x-delay";
/** Ours, for as long as a message is held back. */
const KEYS_HEADER = "x-delayed-keys";
/** As RabbitMQ's plugin: what is to wait longer does not wait at all. */
const DELAY_MS_MAX = 0xffffffff;
/** Bytes of records, and records, that are released before other work has its turn. */
const RELEASE_BYTES_MAX = 1024 * 1024;
const RELEASE_COUNT_MAX = 1000;
/** Until the next try when the disk is full. */
const RETRY_MS = 1000;
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });

export interface DelayedServices {
  readonly timers: Pick<Timers, "after">;
  readonly commit: { wait(waiter: { seal(): void; durable(): void }): void };
  /** Where a message goes whose time has come, under these keys. */
  route(message: Message, keys: readonly string[]): Pick<Route, "queues" | "remember">;
  /** Something that an operator must know. */
  report(text: string): void;
}

/** How long a message with these headers is to wait, milliseconds; 0 is not at all. */
export function readDelayMs(headers: FieldTable | null): number {
  const value = headers?.get(HEADER)?.value;
  if (typeof value !== "number" && typeof value !== "bigint" && typeof value !== "string") return 0;
  const delayMs = Math.trunc(Number(value));
  return delayMs > 0 && delayMs <= DELAY_MS_MAX ? delayMs : 0;
}

interface Released {
  readonly position: number;
  readonly recordBytes: number;
  readonly bodyBytes: number;
}

export class DelayedMessages {
  /** Of the store. */
  readonly id: number;
  readonly durable: boolean;
  readonly store: MessageStore;
  /** Used since the last housekeeping, or the one before. */
  #warm = 0;
  readonly #services: DelayedServices;
  readonly #due = new DueHeap();
  #timer: Timer | null = null;
  #timerMs = Infinity;
  #closed = false;
  /** Who has a message already for whose others the disk was full; by position. */
  readonly #served = new Map<number, Set<Target>>();
  readonly #message = new Message();

  /** Takes up what is in `store`. */
  constructor(id: number, durable: boolean, store: MessageStore, services: DelayedServices) {
    this.id = id;
    this.durable = durable;
    this.store = store;
    this.#services = services;
    const message = this.#message;
    const nowMs = steadyMs();
    while (store.next(message)) {
      const heldMs = arrivalMs(message.timestampMs, nowMs);
      this.#due.push(heldMs + readDelayMs(readHeadersOrNone(message)), message.position);
    }
    store.cool();
    this.#arm();
  }

  /** Messages that wait. */
  get count(): number {
    return this.#due.count;
  }

  /**
   * Holds a message with these headers back that is to be routed by `keys`; returns its position, by which it can be
   * cancelled. Throws a FileFault (ENOSPC) with nothing changed.
   */
  hold(message: Message, headers: FieldTable | null, delayMs: number, keys: readonly string[]): number {
    assert(!this.#closed, "a message was to be delayed by an exchange that is gone");
    this.#warm = 2;
    const { timestampMs } = message;
    const position = this.#append(message, headers, keys);
    // All others are taken already.
    const isTaken = this.store.next(this.#message) && this.#message.position === position;
    assert(isTaken, "a message that is held back was expected to be the only one that is ready");
    this.#due.push(timestampMs + delayMs, position);
    this.#arm();
    return position;
  }

  /** Drops the message at `position`; false when it does not wait any more. */
  cancel(position: number): boolean {
    if (!this.#due.remove(position)) return false;
    this.#served.delete(position);
    this.#warm = 2;
    const record = this.#read(position);
    if (record !== null) this.store.settle(position, record.recordBytes, record.bodyBytes);
    return true;
  }

  /** Gives back what a store needs that is not in use. */
  cool(): void {
    if (this.#warm > 0 && --this.#warm === 0) this.store.cool();
  }

  /** Releases nothing any more. The store is the owner's to close or to destroy. */
  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Keys that do not follow from the message itself (BCC, a dead letter's) are kept in a header of its own. */
  #append(message: Message, headers: FieldTable | null, keys: readonly string[]): number {
    const own = ownKeysOf(message, headers);
    if (keys.length === own.length && keys.every((key, index) => key === own[index])) return this.store.append(message);
    const { header, headerAt, headerBytes } = message;
    setHeader(message, (headers) => {
      headers.set(KEYS_HEADER, { type: "A", value: keys.map((value) => ({ type: "S", value })) });
    });
    try {
      return this.store.append(message);
    } finally {
      // Others get the message too.
      message.header = header;
      message.headerAt = headerAt;
      message.headerBytes = headerBytes;
    }
  }

  #arm(): void {
    if (this.#due.count === 0 || this.#closed) return;
    this.#wake(this.#due.firstDueMs);
  }

  #wake(dueMs: number): void {
    if (dueMs >= this.#timerMs) return;
    this.#timer?.cancel();
    this.#timerMs = dueMs;
    this.#timer = this.#services.timers.after(Math.max(0, dueMs - steadyMs()), () => {
      this.#timer = null;
      this.#timerMs = Infinity;
      this.#releaseDue();
    });
  }

  #releaseDue(): void {
    this.#warm = 2;
    const due = this.#due;
    const nowMs = steadyMs();
    const released: Released[] = [];
    let bytes = RELEASE_BYTES_MAX;
    let isFull = false;
    while (due.count > 0 && due.firstDueMs <= nowMs && bytes > 0 && released.length < RELEASE_COUNT_MAX) {
      const message = this.#read(due.firstPosition);
      if (message !== null) {
        const { position, recordBytes, bodyBytes } = message;
        isFull = !this.#release(message, nowMs);
        if (isFull) break;
        released.push({ position, recordBytes, bodyBytes });
        bytes -= recordBytes;
      }
      due.pop();
    }
    this.#settleWhenDurable(released);
    if (isFull) this.#wake(nowMs + RETRY_MS);
    else this.#arm();
  }

  /** False when the disk is full: it stays, and is tried again. */
  #release(message: Message, nowMs: number): boolean {
    // Times to live begin now.
    message.timestampMs = nowMs;
    const { position } = message;
    const served = this.#served.get(position) ?? new Set<Target>();
    let keys = ownKeysOf(message, null);
    setHeader(message, (headers) => {
      const kept = textsOf(headers, KEYS_HEADER);
      keys = kept.length > 0 ? kept : ownKeysOf(message, headers);
      // As RabbitMQ's plugin: it tells where the message was, and the next exchange of the kind does not hold it.
      if (headers.has(HEADER)) headers.set(HEADER, { type: "l", value: -readDelayMs(headers) });
      headers.delete(KEYS_HEADER);
    });
    try {
      const { queues, remember } = this.#services.route(message, keys);
      for (const target of queues) {
        if (served.has(target)) continue;
        target.publish(message);
        served.add(target);
      }
      this.#served.delete(position);
      remember?.();
      return true;
    } catch (fault) {
      if (!isDiskFull(fault)) throw fault;
      this.#served.set(position, served);
      this.#services.report(`delayed messages wait, the disk is full: ${(fault as Error).message}`);
      return false;
    }
  }

  #settleWhenDurable(released: readonly Released[]): void {
    if (released.length === 0) return;
    const durable = (): void => {
      if (this.#closed) return;
      for (const { position, recordBytes, bodyBytes } of released) this.store.settle(position, recordBytes, bodyBytes);
    };
    this.#services.commit.wait({ seal: () => {}, durable });
  }

  /** Null when it is damaged: recovery will set it aside. */
  #read(position: number): Message | null {
    try {
      this.store.read(position, this.#message);
      return this.#message;
    } catch (fault) {
      if (!(fault instanceof StoreFault)) throw fault;
      this.#services.report(`a delayed message is lost: ${fault.message}`);
      return null;
    }
  }
}

/** One message on its way to be held back. */
export class Delay implements Target {
  readonly keepsAll = false;
  readonly kind = "delay";
  readonly name = "";
  readonly #messages: DelayedMessages;
  readonly #headers: FieldTable | null;
  readonly #delayMs: number;
  readonly #keys: readonly string[];

  constructor(messages: DelayedMessages, headers: FieldTable | null, delayMs: number, keys: readonly string[]) {
    this.#messages = messages;
    this.#headers = headers;
    this.#delayMs = delayMs;
    this.#keys = keys;
  }

  get durable(): boolean {
    return this.#messages.durable;
  }

  get logged(): boolean {
    return this.#messages.durable;
  }

  publish(message: Message): boolean {
    this.#messages.hold(message, this.#headers, this.#delayMs, this.#keys);
    return true;
  }

  makesWait(): boolean {
    return false;
  }
}

function readHeadersOrNone(message: Message): FieldTable | null {
  try {
    return readHeaders(message);
  } catch {
    return null;
  }
}

function setHeader(message: Message, change: (headers: FieldTable) => void): void {
  const header = changedHeader(message, (properties) => change(properties.headers ??= new Map()));
  if (header === null) return;
  message.header = header;
  message.headerAt = 0;
  message.headerBytes = header.length;
}

/** What follows from the message: its routing key, and CC. */
function ownKeysOf({ route, routeAt, routeBytes }: Message, headers: FieldTable | null): string[] {
  const keyAt = routeAt + 2 + route[routeAt]!;
  const routingKey = DECODER.decode(route.subarray(keyAt, routeAt + routeBytes));
  return [routingKey, ...textsOf(headers, "CC")];
}

function textsOf(headers: FieldTable | null, name: string): string[] {
  const value = headers?.get(name)?.value;
  if (!Array.isArray(value)) return [];
  return (value as { value: unknown }[]).map((item) => item.value).filter((text) => typeof text === "string");
}
