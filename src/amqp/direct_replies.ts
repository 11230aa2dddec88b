// Direct reply-to: replies that go straight to the channel which asked, by a name that stands for no queue. A client
// consumes from `amq.rabbitmq.reply-to` without acknowledgements; in the requests it publishes, reply-to becomes a
// name that nobody can guess, and what is published to that name by the default exchange is delivered to it at once.

import { randomBytes } from "node:crypto";
import { DIRECT_REPLY_PENDING_BYTES_MAX } from "../limits.ts";
import { copyOfMessage, type Message } from "../store/message.ts";
import type { Channel } from "./channel.ts";
import { shortString, writeDelivery } from "./consumer.ts";

export const DIRECT_REPLY_TO = "amq.rabbitmq.reply-to";
const PREFIX = `${DIRECT_REPLY_TO}.`;

/** Whether a routing key is the address of a direct reply. */
export function isReplyAddress(name: string): boolean {
  return name.startsWith(PREFIX);
}

/** Who waits for direct replies, by address: all connections of a broker. */
export class DirectReplies {
  readonly #consumers = new Map<string, ReplyConsumer>();

  open(channel: Channel, tag: string): ReplyConsumer {
    const consumer = new ReplyConsumer(channel, tag, (gone) => this.#consumers.delete(gone.address));
    this.#consumers.set(consumer.address, consumer);
    return consumer;
  }

  /** Whoever waits at this address; null when nobody does in this virtual host. */
  find(vhost: object, address: string): ReplyConsumer | null {
    const consumer = this.#consumers.get(address);
    return consumer !== undefined && consumer.vhost === vhost ? consumer : null;
  }
}

/** The consumer of a channel's direct replies. */
export class ReplyConsumer {
  readonly address = PREFIX + randomBytes(16).toString("base64url");
  readonly tag: string;
  readonly #tagBytes: Uint8Array;
  readonly #channel: Channel;
  /** Bodies of replies that wait behind others of the channel. */
  #heldBytes = 0;
  readonly #onClose: (consumer: ReplyConsumer) => void;

  constructor(channel: Channel, tag: string, onClose: (consumer: ReplyConsumer) => void) {
    this.#channel = channel;
    this.tag = tag;
    this.#tagBytes = shortString(tag);
    this.#onClose = onClose;
  }

  get vhost(): object {
    return this.#channel.vhost;
  }

  /**
   * False when it cannot be delivered: there is no queue in which a reply could wait for a client that does not read.
   * What the message refers to is valid only during the call.
   */
  deliver(message: Message): boolean {
    const channel = this.#channel;
    const { connection } = channel;
    if (connection.gone || connection.conn.pending + this.#heldBytes > DIRECT_REPLY_PENDING_BYTES_MAX) return false;
    // Never ahead of the consume-ok that may still wait for its turn.
    const isHeld = !channel.replies.idle;
    const kept = isHeld ? copyOfMessage(message) : message;
    if (isHeld) this.#heldBytes += kept.bodyBytes;
    channel.reply((out) => {
      if (isHeld) this.#heldBytes -= kept.bodyBytes;
      const deliveryTag = channel.deliveries.nextTag();
      writeDelivery(out, channel.number, this.#tagBytes, deliveryTag, kept, connection.frameBytesMax);
    });
    return true;
  }

  /** Idempotent. */
  close(): void {
    this.#onClose(this);
  }
}
