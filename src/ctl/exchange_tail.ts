// `tail` of an exchange: what goes through it, seen by a queue of our own that is bound to it and gone with us.

import process from "node:process";
import type { AmqpChannel, ChannelHandler } from "../client/amqp_channel.ts";
import { type AmqpConnection, connectAmqp } from "../client/amqp_connection.ts";
import { AmqpFault } from "../client/amqp_fault.ts";
import { type AmqpUri, AmqpUriFault, parseAmqpUri } from "../client/amqp_uri.ts";
import { currentRuntime } from "../runtime/current.ts";
import { ConnectFault } from "../runtime/fault.ts";
import { VERSION } from "../version.ts";
import {
  type BasicConsumeOk,
  type BasicDeliver,
  type BasicQosOk,
  decodeMethod,
  METHOD_BASIC_CONSUME_OK,
  METHOD_BASIC_QOS_OK,
  METHOD_QUEUE_BIND_OK,
  METHOD_QUEUE_DECLARE_OK,
  type QueueBindOk,
  type QueueDeclareOk,
  writeBasicAck,
  writeBasicConsume,
  writeBasicQos,
  writeQueueBind,
  writeQueueDeclare,
} from "../wire/amqp_methods.ts";
import { decodeHeader, HEADER_PREFIX_BYTES, type Properties, readBodySize } from "../wire/amqp_properties.ts";
import { tableOf, toPlain } from "../wire/amqp_table.ts";
import { at, type Row } from "./api.ts";
import type { Call } from "./commands.ts";
import { CtlFault, EXIT_UNREACHABLE, usageFault } from "./fault.ts";
import { type Seen, writeHead, writeSeen } from "./seen.ts";
import { quoted } from "./text.ts";
import type { JsonObject } from "./words.ts";

/** Messages that are on their way to the screen; the next ones wait in the queue. */
const PREFETCH = 100;
/** The queue holds no more; the oldest go when nobody keeps up with reading. */
const QUEUE_LENGTH_MAX = 10_000;
/** Types that send each message to each binding that matches: one more takes nothing from the others. */
const TYPES: readonly string[] = ["direct", "fanout", "topic", "headers"];
const AMQP_PORT = 5672;
export interface ExchangeTailFlags {
  readonly routingKey?: string;
  readonly arguments?: JsonObject;
  readonly count?: number;
  readonly amqpUri?: string;
}

export async function tailExchange(call: Call<ExchangeTailFlags>, exchange: string): Promise<void> {
  const { api, vhost, flags } = call;
  const what = `exchange ${quoted(exchange)} in vhost ${quoted(vhost)}`;
  const shown = await api.get(at`exchanges/${vhost}/${exchange}`, what);
  const type = typeOf(shown);
  if (!TYPES.includes(type)) {
    throw new CtlFault(`${what} is of type ${type}: a queue more would take messages from the others`);
  }
  const routingKey = flags.routingKey ?? (type === "topic" ? "#" : "");
  const uri = await amqpOf(call);
  let connection: AmqpConnection | undefined;
  try {
    connection = await connectAmqp(await currentRuntime(), uri, `leveret ctl ${VERSION}`);
    await follow(connection, call, exchange, routingKey);
  } catch (error) {
    if (error instanceof ConnectFault) throw new CtlFault(error.message, EXIT_UNREACHABLE);
    if (error instanceof AmqpFault) throw new CtlFault(`${what}: ${error.message}`);
    throw error;
  } finally {
    await connection?.close();
  }
}

function typeOf(exchange: Row): string {
  const type = exchange["type"] as string;
  if (type !== "x-delayed-message") return type;
  return String((exchange["arguments"] as Row)["x-delayed-type"]);
}

async function amqpOf({ api, vhost, flags }: Call<ExchangeTailFlags>): Promise<AmqpUri> {
  if (flags.amqpUri !== undefined) {
    try {
      return { ...parseAmqpUri(flags.amqpUri), virtualHost: vhost };
    } catch (error) {
      throw error instanceof AmqpUriFault ? usageFault(error.message) : error;
    }
  }
  const { listeners = [] } = await api.get<{ listeners?: { protocol: string; port: number }[] }>(
    at`overview`,
    "overview",
  );
  const port = listeners.find(({ protocol }) => protocol === "amqp")?.port ?? AMQP_PORT;
  const { host, user, password, secure } = api.place;
  if (secure && !isLoopback(host)) {
    throw usageFault("AMQP to another machine is not encrypted: --amqp-uri says where it is, if that will do");
  }
  const nothing = { heartbeatS: null, frameBytesMax: null, channelMax: null };
  return { host, port, user, password, virtualHost: vhost, ...nothing };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host);
}

/** Resolves when the wanted number has been shown or somebody interrupts. */
async function follow(
  connection: AmqpConnection,
  call: Call<ExchangeTailFlags>,
  exchange: string,
  routingKey: string,
): Promise<void> {
  const channel = await connection.openChannel();
  const { queue } = await channel.call<QueueDeclareOk>(
    METHOD_QUEUE_DECLARE_OK,
    (out, number) =>
      writeQueueDeclare(out, number, {
        queue: "",
        passive: false,
        durable: false,
        exclusive: true,
        autoDelete: true,
        noWait: false,
        arguments: tableOf({ "x-max-length": QUEUE_LENGTH_MAX }),
      }),
  );
  const args = tableOf((call.flags.arguments ?? {}) as Parameters<typeof tableOf>[0]);
  await channel.call<QueueBindOk>(
    METHOD_QUEUE_BIND_OK,
    (out, number) => writeQueueBind(out, number, { queue, exchange, routingKey, noWait: false, arguments: args }),
  );
  await channel.call<BasicQosOk>(
    METHOD_BASIC_QOS_OK,
    (out, number) => writeBasicQos(out, number, { prefetchSize: 0, prefetchCount: PREFETCH, global: false }),
  );
  const done = Promise.withResolvers<void>();
  let left = call.flags.count ?? Infinity;
  channel.handler = new Watcher((seen, deliveryTag) => {
    if (left === 0) return;
    left--;
    const isLast = left === 0;
    // What has not been taken from us holds the next ones back.
    void writeSeen(call, seen).then(() => {
      if (isLast) return done.resolve();
      writeBasicAck(connection.out, channel.number, { deliveryTag, multiple: false });
      connection.flush();
    });
  }, (fault) => done.reject(fault));
  const interrupt = () => done.resolve();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  try {
    await consume(channel, queue);
    await writeHead(call);
    await done.promise;
  } finally {
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}

async function consume(channel: AmqpChannel, queue: string): Promise<void> {
  await channel.call<BasicConsumeOk>(
    METHOD_BASIC_CONSUME_OK,
    (out, number) =>
      writeBasicConsume(out, number, {
        queue,
        consumerTag: "",
        noLocal: false,
        noAck: false,
        exclusive: true,
        noWait: false,
        arguments: new Map(),
      }),
  );
}

/** Puts messages together from what comes on a channel. */
class Watcher implements ChannelHandler {
  readonly #show: (seen: Seen, deliveryTag: number) => void;
  readonly #failed: (fault: AmqpFault) => void;
  #delivery: BasicDeliver | null = null;
  #properties: Row = {};
  #parts: Uint8Array[] = [];
  #left = 0;

  constructor(show: (seen: Seen, deliveryTag: number) => void, failed: (fault: AmqpFault) => void) {
    this.#show = show;
    this.#failed = failed;
  }

  deliver(bytes: Uint8Array, at: number, size: number): void {
    this.#delivery = decodeMethod(bytes, at, size) as BasicDeliver;
  }

  header(bytes: Uint8Array, at: number, size: number): void {
    const start = at + HEADER_PREFIX_BYTES;
    this.#properties = propertiesOf(decodeHeader(bytes, start, size - HEADER_PREFIX_BYTES));
    this.#left = readBodySize(bytes, start);
    if (this.#left === 0) this.#complete();
  }

  body(bytes: Uint8Array, at: number, size: number): void {
    this.#parts.push(bytes.slice(at, at + size));
    this.#left -= size;
    if (this.#left === 0) this.#complete();
  }

  turn(): void {}

  settle(): void {}

  closed(fault: AmqpFault | null): void {
    this.#failed(fault ?? new AmqpFault(0, "the connection is closed"));
  }

  #complete(): void {
    const { exchange, routingKey, deliveryTag } = this.#delivery!;
    const body = Buffer.concat(this.#parts.splice(0));
    this.#show({ exchange, routing_key: routingKey, properties: this.#properties, ...payloadOf(body) }, deliveryTag);
  }
}

function payloadOf(body: Buffer): Pick<Seen, "payload" | "payload_encoding"> {
  try {
    const payload = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body);
    return { payload, payload_encoding: "string" };
  } catch {
    return { payload: body.toString("base64"), payload_encoding: "base64" };
  }
}

/** With the API's names. */
function propertiesOf(properties: Properties): Row {
  const fields = Object.entries(properties).filter(([name, value]) => name !== "bodySize" && value !== undefined);
  return Object.fromEntries(fields.map(([name, value]) => {
    const snake = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (value instanceof Map) return [snake, toPlain(value)];
    return [snake, typeof value === "bigint" ? `${value}` : value];
  }));
}
