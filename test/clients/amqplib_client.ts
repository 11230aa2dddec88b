// amqplib as the tests use it: what the broker ends with an error is waited for where it is expected, and fails the test
// where it is not.

import * as amqplib from "amqplib";
import { Inbox } from "../support/wait.ts";

/** How the broker ended a channel or a connection. */
export interface Closing {
  readonly code: number;
  readonly message: string;
}

export type Delivered = amqplib.ConsumeMessage;

/** One connection; to be had with `await using`, so that it is closed at the end of the test. */
export class AmqplibClient {
  readonly model: amqplib.ChannelModel;
  readonly #closings = new Inbox<Closing>();
  readonly #unexpected: Error[] = [];
  #open = true;

  private constructor(model: amqplib.ChannelModel) {
    this.model = model;
    model.on("error", (error: Closing) => this.#closings.push(error));
    model.on("close", () => this.#open = false);
  }

  static async connect(uri: string): Promise<AmqplibClient> {
    return new AmqplibClient(await amqplib.connect(uri, { noDelay: true })); // on Deno each answer would wait 40 ms
  }

  async channel(): Promise<amqplib.Channel> {
    return this.#watched(await this.model.createChannel());
  }

  async confirmChannel(): Promise<amqplib.ConfirmChannel> {
    return this.#watched(await this.model.createConfirmChannel());
  }

  /** What the broker closes a channel with after `act`; the connection must outlive it. */
  async channelClosing(act: (channel: amqplib.Channel) => unknown): Promise<Closing> {
    const witness = await this.model.createChannel();
    const channel = await this.model.createChannel();
    const closings = new Inbox<Closing>();
    channel.on("error", (error: Closing) => closings.push(error));
    try {
      await act(channel);
    } catch {
      // The call that was refused rejects, too; the event tells the code.
    }
    const closing = await closings.next("channel.close");
    await witness.close();
    return closing;
  }

  /** What the broker closes the connection with. */
  closing(): Promise<Closing> {
    return this.#closings.next("connection.close");
  }

  /** Cuts the connection without a word. */
  cut(): void {
    (this.model.connection as unknown as { stream: { destroy(): void } }).stream.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#open) await this.model.close().catch(() => {});
    if (this.#unexpected.length > 0) throw this.#unexpected[0];
    const closing = this.#closings.waiting[0];
    if (closing !== undefined) throw closing;
  }

  #watched<T extends amqplib.Channel>(channel: T): T {
    channel.on("error", (error: Error) => this.#unexpected.push(error));
    return channel;
  }
}

/** What the broker ends a connection with after `act`. */
export async function connectionClosing(
  uri: string,
  act: (channel: amqplib.Channel) => unknown,
): Promise<Closing> {
  await using client = await AmqplibClient.connect(uri);
  const channel = await client.model.createChannel();
  channel.on("error", () => {});
  try {
    await act(channel);
  } catch {
    // As above.
  }
  return await client.closing();
}

/** Consumes into an inbox. A consumer that the broker cancels puts null there. */
export async function consume(
  channel: amqplib.Channel,
  queue: string,
  options: amqplib.Options.Consume = {},
): Promise<{ inbox: Inbox<Delivered>; cancelled: Inbox<null>; tag: string }> {
  const inbox = new Inbox<Delivered>();
  const cancelled = new Inbox<null>();
  const take = (message: Delivered | null) => message === null ? cancelled.push(message) : inbox.push(message);
  const { consumerTag } = await channel.consume(queue, take, options);
  return { inbox, cancelled, tag: consumerTag };
}

/** A queue that goes with its connection, under a name of the broker's. */
export async function temporaryQueue(channel: amqplib.Channel): Promise<string> {
  return (await channel.assertQueue("", { exclusive: true })).queue;
}

/** Publishes one message per text to a queue, in order; when it resolves they are there. */
export async function send(channel: amqplib.Channel, queue: string, ...texts: string[]): Promise<void> {
  for (const text of texts) channel.sendToQueue(queue, Buffer.from(text));
  await channel.checkQueue(queue);
}

/** Body, and an exclamation mark when it is redelivered. */
export function shown(message: amqplib.Message): string {
  return `${message.content}${message.fields.redelivered ? "!" : ""}`;
}

export async function readyCount(channel: amqplib.Channel, queue: string): Promise<number> {
  return (await channel.checkQueue(queue)).messageCount;
}
