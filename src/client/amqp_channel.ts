// One channel of a client connection: synchronous methods as promises, deliveries and confirms as raw calls that
// allocate nothing. Publishing has no method here: whoever publishes writes frames into the connection's out-buffer.

import type { OutBuffer } from "../lib/out_buffer.ts";
import {
  decodeMethod,
  type Method,
  METHOD_BASIC_ACK,
  METHOD_BASIC_CANCEL,
  METHOD_BASIC_DELIVER,
  METHOD_BASIC_GET_OK,
  METHOD_BASIC_NACK,
  METHOD_BASIC_RETURN,
  METHOD_CHANNEL_CLOSE,
  METHOD_CHANNEL_CLOSE_OK,
  METHOD_CHANNEL_FLOW,
  METHOD_NAMES,
  writeChannelClose,
  writeChannelCloseOk,
  writeChannelFlowOk,
} from "../wire/amqp_methods.ts";
import { HEADER_BYTES_MIN, HEADER_PREFIX_BYTES } from "../wire/amqp_properties.ts";
import { malformed, readLonglong } from "../wire/amqp_values.ts";
import { AmqpFault } from "./amqp_fault.ts";

const REPLY_SUCCESS = 200;
/** Of basic.ack and basic.nack: method, tag, bits. */
const CONFIRM_BYTES = 13;
/** Of basic.deliver, with a consumer tag, an exchange and a routing key that are empty. */
const DELIVER_BYTES_MIN = 16;

/** What a channel's owner hears. All bytes are valid only during the call; delivered in the order of the wire. */
export interface ChannelHandler {
  /** The payload of a basic.deliver, whole up to its delivery tag. */
  deliver(bytes: Uint8Array, at: number, size: number): void;
  /** The payload of the content header that follows a basic.deliver, whole up to its flags. */
  header(bytes: Uint8Array, at: number, size: number): void;
  /** A part of the body of the message that the last header began. */
  body(bytes: Uint8Array, at: number, size: number): void;
  /** A publisher confirm: `accepted` is false for a nack. */
  settle(tag: number, multiple: boolean, accepted: boolean): void;
  /** All of one chunk has been told: the time to write what came together. It is flushed afterwards. */
  turn(): void;
  /** The channel is gone; null when we closed it. */
  closed(fault: AmqpFault | null): void;
}

/** What a channel needs of its connection. */
export interface ChannelOwner {
  readonly out: OutBuffer;
  flush(): void;
  /** The channel's number may be given out again. */
  release(number: number): void;
}

interface Waiter {
  readonly kind: number;
  resolve(method: Method): void;
  reject(fault: AmqpFault): void;
}

export class AmqpChannel {
  readonly number: number;
  handler: ChannelHandler | null = null;
  readonly #owner: ChannelOwner;
  readonly #waiters: Waiter[] = [];
  /** The content that comes belongs to a delivery, not to a return. */
  #delivering = false;
  #closing = false;
  #fault: AmqpFault | null = null;

  constructor(owner: ChannelOwner, number: number) {
    this.#owner = owner;
    this.number = number;
  }

  /** Sends what `write` writes and waits for the method `kind`, in the order of the calls. Rejects with an AmqpFault. */
  call<T extends Method>(kind: T["kind"], write: (out: OutBuffer, channel: number) => void): Promise<T> {
    if (this.#fault !== null) return Promise.reject(this.#fault);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    write(this.#owner.out, this.number);
    // The reply's kind is checked before it is resolved with, so it is a T.
    this.#waiters.push({ kind, resolve: resolve as (method: Method) => void, reject });
    this.#owner.flush();
    return promise;
  }

  /** Closes the channel in the protocol's way. */
  async close(): Promise<void> {
    if (this.#fault !== null) return;
    this.#closing = true;
    await this.call(
      METHOD_CHANNEL_CLOSE_OK,
      (out, channel) =>
        writeChannelClose(out, channel, { replyCode: REPLY_SUCCESS, replyText: "closed", classId: 0, methodId: 0 }),
    );
    this.fail(new AmqpFault(0, "the channel is closed"));
    this.#owner.release(this.number);
  }

  /** A method frame for this channel. Hot for deliveries and confirms. */
  method(kind: number, bytes: Uint8Array, at: number, size: number): void {
    switch (kind) {
      case METHOD_BASIC_DELIVER:
        if (size < DELIVER_BYTES_MIN || size < DELIVER_BYTES_MIN + bytes[at + 4]!) throw malformed("a delivery is cut");
        this.#delivering = true;
        this.handler?.deliver(bytes, at, size);
        return;
      case METHOD_BASIC_ACK:
        if (size !== CONFIRM_BYTES) throw malformed("a confirm is cut");
        this.handler?.settle(readLonglong(bytes, at + 4), (bytes[at + 12]! & 1) !== 0, true);
        return;
      case METHOD_BASIC_NACK:
        if (size !== CONFIRM_BYTES) throw malformed("a confirm is cut");
        this.handler?.settle(readLonglong(bytes, at + 4), (bytes[at + 12]! & 1) !== 0, false);
        return;
      case METHOD_BASIC_RETURN:
      case METHOD_BASIC_GET_OK:
        this.#delivering = false;
        return;
      default:
        this.#control(decodeMethod(bytes, at, size));
    }
  }

  header(bytes: Uint8Array, at: number, size: number): void {
    if (size < HEADER_PREFIX_BYTES + HEADER_BYTES_MIN) throw malformed("a content header is cut");
    if (this.#delivering) this.handler?.header(bytes, at, size);
  }

  body(bytes: Uint8Array, at: number, size: number): void {
    if (this.#delivering) this.handler?.body(bytes, at, size);
  }

  /** Ends the channel for its owner: every call that waits is rejected. Once. `asked`: we closed the connection. */
  fail(fault: AmqpFault, asked = false): void {
    if (this.#fault !== null) return;
    this.#fault = fault;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(fault);
    this.handler?.closed(asked || this.#closing ? null : fault);
  }

  #control(method: Method): void {
    switch (method.kind) {
      case METHOD_CHANNEL_CLOSE:
        writeChannelCloseOk(this.#owner.out, this.number);
        this.fail(new AmqpFault(method.replyCode, method.replyText));
        this.#owner.release(this.number);
        return;
      case METHOD_CHANNEL_FLOW:
        writeChannelFlowOk(this.#owner.out, this.number, { active: method.active });
        return;
      case METHOD_BASIC_CANCEL:
        this.fail(new AmqpFault(0, `the broker cancelled consumer ${method.consumerTag}: is its queue gone?`));
        return;
      default: {
        const waiter = this.#waiters[0];
        if (waiter?.kind !== method.kind) {
          const expected = waiter === undefined ? "none" : METHOD_NAMES.get(waiter.kind);
          throw new AmqpFault(0, `the broker sent ${METHOD_NAMES.get(method.kind)}, expected ${expected}`);
        }
        this.#waiters.shift();
        waiter.resolve(method);
      }
    }
  }
}
