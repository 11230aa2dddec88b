// What a channel publishes: puts method, header and bodies of a message together, finds its queues, hands it to them.
// A message that lies whole in one chunk is never copied here; what the end of a chunk cuts is.

import type { Waiter } from "../core/pace.ts";
import { type ChannelCounters, ExchangeCounters } from "../core/statistics/counters.ts";
import type { Target } from "../core/target.ts";
import type { VirtualHost } from "../core/virtual_host.ts";
import { isDiskFull } from "../lib/disk_full.ts";
import { copyBytes } from "../lib/out_buffer.ts";
import { Message, MESSAGE_EXPIRES, MESSAGE_PERSISTENT } from "../store/message.ts";
import {
  checkProperties,
  CLASS_BASIC,
  HEADER_PREFIX_BYTES,
  isPersistent,
  propertiesFlags,
  PROPERTY_EXPIRATION,
  readBodySize,
} from "../wire/amqp_properties.ts";
import { Refusal } from "../core/refusal.ts";
import { isReplyAddress } from "./direct_replies.ts";
import { AmqpError } from "./errors.ts";
import { RARE_PROPERTIES, type Rewrite } from "./rare_properties.ts";
import { Known, RouteCache } from "./route_cache.ts";
import type { Publication, Transaction } from "./transaction.ts";

const IDLE = 0;
const EXPECTS_HEADER = 1;
const EXPECTS_BODY = 2;

/** A body buffer up to this size stays with the channel for its next message; larger ones are let go. */
const BODY_KEPT_BYTES_MAX = 64 * 1024;
const EMPTY = new Uint8Array(0);
const NO_KEYS: readonly string[] = [];
/** The bit of basic.publish. */
const IMMEDIATE = 2;

/** Why a message comes back: reply codes of basic.return. */
export const NO_ROUTE = 312;
export const NO_CONSUMERS = 313;

/** What a channel does with a message that is whole. */
export interface PublisherHost {
  readonly counters: ChannelCounters;
  readonly vhost: VirtualHost;
  readonly messageBytesMax: number;
  nowMs(): number;
  /** Refuses what the user may not publish. Asked once per route that is kept, and per message of one that is not. */
  authorizePublish(exchange: string, routingKeys: readonly string[]): void;
  /** So many bytes more are held for a body that is not whole; throws when that is too much for one connection. */
  holdBody(bytes: number): void;
  /** All channels of the connection hold so much that none should keep a buffer for later. */
  readonly holdsMuch: boolean;
  /** Reads and checks rarely used properties, called only when one of RARE_PROPERTIES is set. */
  readRare(flags: number, bytes: Uint8Array, at: number, size: number): Rewrite | null;
  /** A mandatory or immediate message that went nowhere, and why; valid during the call. */
  returned(message: Message, code: typeof NO_ROUTE | typeof NO_CONSUMERS): void;
  /** The disk has no room for a message: true when its publisher is told by a basic.nack. */
  unstored(): boolean;
  /** Delivers a direct reply; false when nobody waits at this address. */
  replied(address: string, message: Message): boolean;
  /** Whether a queue has a consumer for one more message, and none waiting before it. */
  deliversNow(target: Target): boolean;
  /** Every published message, after its queues have it; `refused` when one of them did not take it. */
  published(toDisk: boolean, refused: boolean): void;
}

export class Publisher {
  /** A message is begun and not whole. */
  state = IDLE;
  readonly #host: PublisherHost;
  readonly #message = new Message();
  #mandatory = false;
  #bodySize = 0;
  /** Bytes of the body so far, in #body. */
  #received = 0;
  #body: Uint8Array = EMPTY;
  /** Route and header of a message that a chunk's end cut. */
  #kept: Uint8Array = EMPTY;
  readonly #routes = new RouteCache();
  /** Where the last route led. */
  #known = nowhere();
  /** Of a route that leads through a deduplicating exchange; such a route is never kept. */
  #remember: (() => void) | null = null;
  /** The last route is the address of a direct reply; such a route is never kept. */
  #replyAddress: string | null = null;
  /** In transaction mode messages wait here for their commit. */
  transaction: Transaction | null = null;
  /** The message wants more than to be routed and stored: is immediate, has CC or BCC, waits for a commit. */
  #special = false;
  #immediate = false;
  #copies: readonly string[] = NO_KEYS;

  constructor(host: PublisherHost) {
    this.#host = host;
  }

  get busy(): boolean {
    return this.state !== IDLE;
  }

  /** The arguments of basic.publish: reserved (2), exchange, routing key, bits. Hot. */
  begin(bytes: Uint8Array, at: number, size: number): void {
    if (this.state !== IDLE) throw unexpected("a content frame");
    const end = at + size;
    const routeAt = at + 2;
    const keyAt = routeAt + 1 + bytes[routeAt]!;
    const bitsAt = keyAt + 1 + bytes[keyAt]!;
    if (keyAt >= end || bitsAt + 1 !== end) throw new AmqpError(502, "malformed basic.publish");
    const message = this.#message;
    message.route = bytes;
    message.routeAt = routeAt;
    message.routeBytes = bitsAt - routeAt;
    const bits = bytes[bitsAt]!;
    this.#immediate = (bits & IMMEDIATE) !== 0;
    this.#special = this.#immediate || this.transaction !== null;
    this.#mandatory = (bits & 1) !== 0;
    this.state = EXPECTS_HEADER;
  }

  /** A content header's payload. Hot. */
  header(bytes: Uint8Array, at: number, size: number): void {
    if (this.state !== EXPECTS_HEADER) throw unexpected("a method");
    if (size < HEADER_PREFIX_BYTES || (bytes[at]! << 8 | bytes[at + 1]!) !== CLASS_BASIC) {
      throw new AmqpError(505, "expected content header for class 60, got another one instead");
    }
    const headerAt = at + HEADER_PREFIX_BYTES;
    const headerBytes = size - HEADER_PREFIX_BYTES;
    checkProperties(bytes, headerAt, headerBytes);
    const bodySize = readBodySize(bytes, headerAt);
    const message = this.#message;
    message.header = bytes;
    message.headerAt = headerAt;
    message.headerBytes = headerBytes;
    message.flags = isPersistent(bytes, headerAt) ? MESSAGE_PERSISTENT : 0;
    const { messageBytesMax } = this.#host;
    if (bodySize > messageBytesMax) {
      throw new AmqpError(406, `message size ${bodySize} is larger than configured max size ${messageBytesMax}`);
    }
    const flags = propertiesFlags(bytes, headerAt) & RARE_PROPERTIES;
    if (flags !== 0) {
      if ((flags & PROPERTY_EXPIRATION) !== 0) message.flags |= MESSAGE_EXPIRES;
      const rewrite = this.#host.readRare(flags, bytes, headerAt, headerBytes);
      if (rewrite !== null) this.#rewrite(rewrite);
    }
    this.#bodySize = bodySize;
    this.#received = 0;
    this.state = EXPECTS_BODY;
    if (bodySize === 0) this.#complete(EMPTY, 0);
  }

  #rewrite({ copies, header }: Rewrite): void {
    if (copies.length > 0) {
      this.#copies = copies;
      this.#special = true;
    }
    if (header === null) return;
    const message = this.#message;
    message.header = header;
    message.headerAt = 0;
    message.headerBytes = header.length;
  }

  /** A body frame's payload. Hot. */
  body(bytes: Uint8Array, at: number, size: number): void {
    if (this.state !== EXPECTS_BODY) throw unexpected("a method or content header");
    if (this.#received === 0 && size === this.#bodySize) return this.#complete(bytes, at);
    const received = this.#received + size;
    if (received > this.#bodySize) {
      throw new AmqpError(501, `expected ${this.#bodySize} bytes of body, received ${received}`);
    }
    if (received > this.#body.length) this.#growBody(received);
    copyBytes(bytes, at, this.#body, this.#received, size);
    this.#received = received;
    if (received < this.#bodySize) return;
    const body = this.#body;
    if (body.length > BODY_KEPT_BYTES_MAX || this.#host.holdsMuch) this.#dropBody();
    this.#complete(body, 0);
  }

  /** Whether a queue of the last route makes a publisher wait. */
  makesWait(publisher: Waiter): boolean {
    return this.#known.queues.some((queue) => queue.makesWait(publisher));
  }

  /** The channel ends. */
  release(): void {
    this.#dropBody();
  }

  /** The chunk in which route and header lie is about to go: copies them. */
  detach(): void {
    const message = this.#message;
    const { routeBytes } = message;
    const headerBytes = this.state === EXPECTS_BODY ? message.headerBytes : 0;
    if (message.route === this.#kept && (headerBytes === 0 || message.header === this.#kept)) return;
    const kept = new Uint8Array(routeBytes + headerBytes);
    copyBytes(message.route, message.routeAt, kept, 0, routeBytes);
    copyBytes(message.header, message.headerAt, kept, routeBytes, headerBytes);
    this.#kept = kept;
    message.route = kept;
    message.routeAt = 0;
    message.header = kept;
    message.headerAt = routeBytes;
  }

  /** Hot. */
  #complete(body: Uint8Array, bodyAt: number): void {
    this.state = IDLE;
    const host = this.#host;
    const message = this.#message;
    message.body = body;
    message.bodyAt = bodyAt;
    message.bodyBytes = this.#bodySize;
    message.timestampMs = host.nowMs();
    if (this.#special) return this.#completeSpecial();
    if (!this.#routeIsKnown(message)) this.#findQueues(message, NO_KEYS);
    const { queues, only, anyDurable, keptFlags } = this.#known;
    this.#count(only !== null ? 1 : queues.length);
    let refused = false;
    if (only === null && queues.length === 0) {
      const replied = this.#replyAddress !== null && host.replied(this.#replyAddress, message);
      if (!replied) this.#unroutable(message, this.#mandatory);
    } else {
      try {
        if (only !== null) refused = !only.publish(message);
        else for (let i = 0; i < queues.length; i++) if (!queues[i]!.publish(message)) refused = true;
      } catch (error) {
        if (isDiskFull(error) && host.unstored()) return;
        throw error;
      }
      if (this.#remember !== null && !refused) this.#remember();
    }
    host.published(anyDurable && ((message.flags | keptFlags) & MESSAGE_PERSISTENT) !== 0, refused);
  }

  #completeSpecial(): void {
    const [message, copies] = [this.#message, this.#copies];
    this.#copies = NO_KEYS;
    // Also in a transaction: an exchange that is not there is refused now, not at commit.
    this.#findQueues(message, copies);
    const publication = { message, mandatory: this.#mandatory, immediate: this.#immediate, copies };
    if (this.transaction !== null) this.transaction.publish(publication);
    else this.#publish(publication);
  }

  /** Publishes what waited for its commit; false when a queue refused it. What cannot be routed any more goes nowhere. */
  commit(publication: Publication): boolean {
    try {
      this.#findQueues(publication.message, publication.copies, true);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#known = nowhere();
      this.#remember = null;
      this.#replyAddress = null;
    }
    return this.#publish(publication);
  }

  /** Hands a message to the queues that were found for it, or to those of them that can deliver it at once. */
  #publish({ message, mandatory, immediate }: Publication): boolean {
    const host = this.#host;
    const { queues: found, anyDurable, keptFlags } = this.#known;
    const queues = immediate ? found.filter((queue) => host.deliversNow(queue)) : found;
    this.#count(queues.length);
    const replied = this.#replyAddress !== null && host.replied(this.#replyAddress, message);
    let refused = false;
    try {
      for (const queue of queues) if (!queue.publish(message)) refused = true;
    } catch (error) {
      if (isDiskFull(error) && host.unstored()) return false;
      throw error;
    }
    if (queues.length > 0 && !refused) this.#remember?.();
    if (queues.length === 0 && !replied) {
      if (found.length === 0) this.#unroutable(message, mandatory, immediate);
      else host.returned(message, NO_CONSUMERS);
    }
    host.published(anyDurable && ((message.flags | keptFlags) & MESSAGE_PERSISTENT) !== 0, refused);
    return !refused;
  }

  /** Hot. */
  #count(queueCount: number): void {
    this.#host.counters.publish++;
    const exchange = this.#known.exchangeCounters;
    exchange.publishIn++;
    exchange.publishOut += queueCount;
  }

  #unroutable(message: Message, mandatory: boolean, immediate = false): void {
    const host = this.#host;
    if (mandatory || immediate) {
      host.counters.returnUnroutable++;
      host.returned(message, mandatory ? NO_ROUTE : NO_CONSUMERS);
    } else {
      host.counters.dropUnroutable++;
    }
  }

  /** Hot. */
  #routeIsKnown({ route, routeAt, routeBytes }: Message): boolean {
    const known = this.#routes.find(route, routeAt, routeBytes, this.#host.vhost.revision);
    if (known === null) return false;
    this.#known = known;
    this.#remember = null;
    this.#replyAddress = null;
    return true;
  }

  /** What was published in a transaction was authorized then. */
  #findQueues(message: Message, copies: readonly string[], isAuthorized = false): void {
    const { route: bytes, routeAt, routeBytes } = message;
    const exchangeEnd = routeAt + 1 + bytes[routeAt]!;
    const exchange = text(bytes, routeAt + 1, exchangeEnd);
    const routingKey = text(bytes, exchangeEnd + 1, routeAt + routeBytes);
    this.#replyAddress = exchange === "" && isReplyAddress(routingKey) ? routingKey : null;
    const keys = copies.length === 0 ? [routingKey] : [routingKey, ...copies];
    if (!isAuthorized) this.#host.authorizePublish(exchange, keys);
    const { vhost } = this.#host;
    const { queues, remember, cacheable } = vhost.route(exchange, keys, message);
    this.#known = new Known(
      queues,
      queues.some((queue) => queue.durable),
      queues.some((queue) => queue.keepsAll) ? MESSAGE_PERSISTENT : 0,
      vhost.exchange(exchange).counters,
    );
    this.#remember = remember;
    if (!cacheable || copies.length > 0 || this.#replyAddress !== null) return;
    this.#routes.add(bytes, routeAt, routeBytes, vhost.revision, this.#known);
  }

  #dropBody(): void {
    this.#host.holdBody(-this.#body.length);
    this.#body = EMPTY;
  }

  /** Grows with what arrives, never by what was announced. */
  #growBody(received: number): void {
    const bytes = Math.min(this.#bodySize, Math.max(received, 2 * this.#body.length));
    this.#host.holdBody(bytes - this.#body.length);
    const larger = new Uint8Array(bytes);
    larger.set(this.#body.subarray(0, this.#received));
    this.#body = larger;
  }
}

function nowhere(): Known {
  return new Known([], false, 0, new ExchangeCounters());
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function text(bytes: Uint8Array, from: number, to: number): string {
  return decoder.decode(bytes.subarray(from, to));
}

function unexpected(expected: string): AmqpError {
  return new AmqpError(505, `expected ${expected}, got something else instead`);
}
