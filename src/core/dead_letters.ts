// Dead lettering: what leaves a queue otherwise than by being consumed goes to the queue's dead letter exchange. Work is
// collected and done at the end of the turn, one message after the other and never one inside another, so queues that
// dead-letter to each other cost no stack. A message that is to survive is settled where it came from only when it is
// on disk where it goes: a crash in between may double it, never lose it.

import { isDiskFull } from "../lib/disk_full.ts";
import { steadyMs } from "../lib/clock.ts";
import { copyOfMessage, Message, MESSAGE_EXPIRES, MESSAGE_PERSISTENT } from "../store/message.ts";
import { StoreFault } from "../store/store_event.ts";
import type { Properties } from "../wire/amqp_properties.ts";
import { changedHeader } from "./changed_header.ts";
import type { Route } from "./exchanges/router.ts";
import { routeTexts } from "./message_route.ts";
import type { Queue } from "./queue.ts";
import { Refusal } from "./refusal.ts";
import type { Timers } from "./timers.ts";
import type { Servable, Turn } from "./turn.ts";
import { addDeath, type DeathReason, isCycle } from "./x_death.ts";

/** Bytes of records that are moved before other work has its turn. */
const SERVE_BYTES_MAX = 1024 * 1024;
/** Records under way, not yet settled: who can wait does so beyond it. */
const UNDER_WAY_MAX = 16 * 1024;
/** When the disk is full it is tried again after so long. */
const RETRY_MS = 1000;

export interface DeadLetterServices {
  readonly turn: Turn;
  readonly timers: Timers;
  readonly commit: { wait(waiter: { seal(): void; durable(): void }): void };
  /** Null when the exchange is not there. */
  route(exchange: string, routingKeys: readonly string[], message: Message): Route | null;
}

interface Letter {
  readonly queue: Queue;
  readonly reason: DeathReason;
  /** Of the unacked record; the message itself where the queue never took it in. */
  readonly position: number;
  readonly recordBytes: number;
  readonly bodyBytes: number;
  readonly refused: Message | null;
}

export class DeadLetters implements Servable {
  readonly #services: DeadLetterServices;
  #waiting: Letter[] = [];
  #next = 0;
  #queued = false;
  #underWay = 0;
  /** Queues that wait until there is room again. */
  readonly #held = new Set<Queue>();
  readonly #message = new Message();

  constructor(services: DeadLetterServices) {
    this.#services = services;
  }

  /** An unacked record dies. */
  take(queue: Queue, position: number, recordBytes: number, bodyBytes: number, reason: DeathReason): void {
    this.#add({ queue, reason, position, recordBytes, bodyBytes, refused: null });
  }

  /** A message that the queue has no room for; valid only during the call. */
  takeRefused(queue: Queue, message: Message): void {
    const refused = copyOfMessage(message);
    this.#add({ queue, reason: "maxlen", position: 0, recordBytes: 0, bodyBytes: message.bodyBytes, refused });
  }

  /** False when too much is under way: the queue is woken when it may go on. */
  hasRoom(queue: Queue): boolean {
    if (this.#underWay < UNDER_WAY_MAX) return true;
    this.#held.add(queue);
    return false;
  }

  serve(): boolean {
    const settled: Letter[] = [];
    const unsettled: Letter[] = [];
    let bytes = SERVE_BYTES_MAX;
    let isFull = false;
    while (this.#next < this.#waiting.length && bytes > 0) {
      const letter = this.#waiting[this.#next]!;
      bytes -= letter.recordBytes + letter.bodyBytes;
      try {
        (this.#send(letter) ? unsettled : settled).push(letter);
      } catch (fault) {
        if (isDiskFull(fault)) {
          isFull = true;
          break;
        }
        // What its targets cannot take whatever the time is deleted, like what has none.
        if (!(fault instanceof Refusal || fault instanceof StoreFault)) throw fault;
        settled.push(letter);
      }
      this.#next++;
    }
    this.#settle(settled);
    if (unsettled.length > 0) {
      const durable = (): void => {
        this.#settle(unsettled);
        this.#services.turn.schedule();
      };
      this.#services.commit.wait({ seal: () => {}, durable });
    }
    this.#queued = this.#next < this.#waiting.length;
    if (!this.#queued) {
      this.#waiting = [];
      this.#next = 0;
    }
    // Still queued: what comes meanwhile lines up behind.
    if (isFull) this.#services.timers.after(RETRY_MS, () => this.#services.turn.serveLater(this));
    return this.#queued && !isFull;
  }

  #add(letter: Letter): void {
    this.#waiting.push(letter);
    this.#underWay++;
    if (this.#queued) return;
    this.#queued = true;
    this.#services.turn.serveLater(this);
  }

  #settle(letters: readonly Letter[]): void {
    if (letters.length === 0) return;
    for (const { queue, refused, position, recordBytes, bodyBytes } of letters) {
      if (refused === null) queue.settle(position, recordBytes, bodyBytes);
    }
    this.#underWay -= letters.length;
    if (this.#held.size === 0 || this.#underWay > UNDER_WAY_MAX / 2) return;
    const held = [...this.#held];
    this.#held.clear();
    for (const queue of held) queue.wake();
  }

  /** True when the record has to stay until the disk has what was made of it. */
  #send(letter: Letter): boolean {
    const { queue, refused } = letter;
    if (queue.gone) return false;
    const source = refused ?? this.#read(letter);
    if (source === null) return false;
    const sent = this.#bury(letter, source);
    return sent && refused === null && queue.logged && (source.flags & MESSAGE_PERSISTENT) !== 0;
  }

  #read({ queue, position }: Letter): Message | null {
    try {
      queue.store.read(position, this.#message);
      return this.#message;
    } catch (fault) {
      if (fault instanceof StoreFault) return null;
      throw fault;
    }
  }

  /** Sends on what can be sent on; true when a queue that survives a restart has it. */
  #bury({ queue, reason }: Letter, source: Message): boolean {
    const { deadLetterExchange, deadLetterRoutingKey } = queue.settings;
    // A policy may have taken it away meanwhile.
    if (deadLetterExchange === null) return false;
    const [exchange, routingKey] = routeTexts(source);
    const timeMs = Date.now();
    let headers: NonNullable<Properties["headers"]> = new Map();
    let ownKeys: string[] = [];
    const header = changedHeader(source, (properties) => {
      headers = properties.headers ??= new Map();
      ownKeys = [routingKey, ...copiesOf(headers)];
      const { expiration } = properties;
      addDeath(headers, { reason, queue: queue.name, exchange, routingKeys: ownKeys, expiration, timeMs });
      delete properties.expiration;
    });
    if (header === null) return false;
    const keys = deadLetterRoutingKey === null ? ownKeys : [deadLetterRoutingKey];
    const message = new Message();
    message.timestampMs = steadyMs();
    message.flags = source.flags & ~MESSAGE_EXPIRES;
    message.route = encodeRoute(deadLetterExchange, deadLetterRoutingKey ?? routingKeyBytes(source));
    message.routeBytes = message.route.length;
    message.header = header;
    message.headerBytes = header.length;
    // Copied: it may go back to the queue in whose buffers it lies.
    message.body = source.body.slice(source.bodyAt, source.bodyAt + source.bodyBytes);
    message.bodyBytes = source.bodyBytes;
    let anyLogged = false;
    const route = this.#services.route(deadLetterExchange, keys, message);
    if (route === null) return false;
    for (const target of route.queues) {
      if (reason !== "rejected" && isCycle(headers, target.name)) continue;
      target.publish(message);
      anyLogged ||= target.logged;
    }
    route.remember?.();
    return anyLogged;
  }
}

/** The further routing keys that a publisher gave. */
function copiesOf(headers: NonNullable<Properties["headers"]>): string[] {
  const value = headers.get("CC")?.value;
  if (!Array.isArray(value)) return [];
  return (value as { value: unknown }[]).map((item) => item.value).filter((key) => typeof key === "string");
}

/** As it came: it need not be UTF-8. */
function routingKeyBytes({ route, routeAt, routeBytes }: Message): Uint8Array {
  return route.subarray(routeAt + 2 + route[routeAt]!, routeAt + routeBytes);
}

function encodeRoute(exchange: string, routingKey: string | Uint8Array): Uint8Array {
  const encoder = new TextEncoder();
  const first = encoder.encode(exchange).subarray(0, 255);
  const second = typeof routingKey === "string" ? encoder.encode(routingKey).subarray(0, 255) : routingKey;
  const bytes = new Uint8Array(2 + first.length + second.length);
  bytes[0] = first.length;
  bytes.set(first, 1);
  bytes[1 + first.length] = second.length;
  bytes.set(second, 2 + first.length);
  return bytes;
}
