// What a channel publishes: puts method, header and bodies of a message together, finds its queues, hands it to them.
// A message that lies whole in one chunk is never copied here; what the end of a chunk cuts is.

import type { Queue } from "../core/queue.ts";
import type { VirtualHost } from "../core/virtual_host.ts";
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
import { AmqpError } from "./errors.ts";
import { RARE_PROPERTIES } from "./rare_properties.ts";

const IDLE = 0;
const EXPECTS_HEADER = 1;
const EXPECTS_BODY = 2;

/** A body buffer up to this size stays with the channel for its next message; larger ones are let go. */
const BODY_KEPT_BYTES_MAX = 64 * 1024;
/** Two short strings. */
const ROUTE_BYTES_MAX = 512;
const EMPTY = new Uint8Array(0);

/** What a channel does with a message that is whole. */
export interface PublisherHost {
  readonly vhost: VirtualHost;
  readonly messageBytesMax: number;
  nowMs(): number;
  /** So many bytes more are held for a body that is not whole; throws when that is too much for one connection. */
  holdBody(bytes: number): void;
  /** Checks of rarely used properties, called only when one of RARE_PROPERTIES is set. */
  checkRare(flags: number, bytes: Uint8Array, at: number, size: number): void;
  /** A mandatory message that no queue took; valid during the call. */
  returned(message: Message): void;
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
  // The last route and where it led.
  readonly #route = new Uint8Array(ROUTE_BYTES_MAX);
  #routeBytes = -1;
  #revision = 0;
  #queues: readonly Queue[] = [];
  #anyDurable = false;

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
    if ((bits & 2) !== 0) throw new AmqpError(540, "immediate=true");
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
      this.#host.checkRare(flags, bytes, headerAt, headerBytes);
      if ((flags & PROPERTY_EXPIRATION) !== 0) message.flags |= MESSAGE_EXPIRES;
    }
    this.#bodySize = bodySize;
    this.#received = 0;
    this.state = EXPECTS_BODY;
    if (bodySize === 0) this.#complete(EMPTY, 0);
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
    if (body.length > BODY_KEPT_BYTES_MAX) this.#dropBody();
    this.#complete(body, 0);
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
    if (!this.#routeIsCached()) this.#findQueues();
    const queues = this.#queues;
    let refused = false;
    if (queues.length === 0) {
      if (this.#mandatory) host.returned(message);
    } else {
      for (let i = 0; i < queues.length; i++) if (!queues[i]!.publish(message)) refused = true;
    }
    host.published(this.#anyDurable && (message.flags & MESSAGE_PERSISTENT) !== 0, refused);
  }

  #routeIsCached(): boolean {
    const { route, routeAt, routeBytes } = this.#message;
    if (routeBytes !== this.#routeBytes || this.#revision !== this.#host.vhost.revision) return false;
    const cached = this.#route;
    for (let i = 0; i < routeBytes; i++) {
      if (cached[i] !== route[routeAt + i]) return false;
    }
    return true;
  }

  #findQueues(): void {
    const { route: bytes, routeAt, routeBytes } = this.#message;
    const exchangeEnd = routeAt + 1 + bytes[routeAt]!;
    const exchange = text(bytes, routeAt + 1, exchangeEnd);
    const routingKey = text(bytes, exchangeEnd + 1, routeAt + routeBytes);
    // Forgotten first: a refusal must not leave the old queues under a new name.
    this.#routeBytes = -1;
    const route = this.#host.vhost.route(exchange, [routingKey], this.#message);
    this.#queues = route.queues;
    this.#anyDurable = this.#queues.some((queue) => queue.durable);
    if (!route.cacheable) return;
    copyBytes(bytes, routeAt, this.#route, 0, routeBytes);
    this.#routeBytes = routeBytes;
    this.#revision = this.#host.vhost.revision;
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

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function text(bytes: Uint8Array, from: number, to: number): string {
  return decoder.decode(bytes.subarray(from, to));
}

function unexpected(expected: string): AmqpError {
  return new AmqpError(505, `expected ${expected}, got something else instead`);
}
