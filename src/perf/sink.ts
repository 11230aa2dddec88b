// A server that speaks just enough AMQP 0-9-1 to measure the generator's own ceiling: it swallows what is published,
// confirms it once a turn, and feeds consumers endless deliveries of one size. It has no queues and keeps no messages.

import { setImmediate } from "node:timers";
import { BufferPool, OutBuffer } from "../lib/out_buffer.ts";
import type { Address, Conn, ConnHandler, Listener, Runtime } from "../runtime/runtime.ts";
import { FRAME_BODY, FRAME_METHOD, FrameReader, PROTOCOL_HEADER, writeBody } from "../wire/amqp_frame.ts";
import {
  decodeMethod,
  type Method,
  METHOD_BASIC_ACK,
  METHOD_BASIC_CONSUME,
  METHOD_BASIC_PUBLISH,
  METHOD_BASIC_QOS,
  METHOD_CHANNEL_CLOSE,
  METHOD_CHANNEL_OPEN,
  METHOD_CONFIRM_SELECT,
  METHOD_CONNECTION_CLOSE,
  METHOD_CONNECTION_OPEN,
  METHOD_CONNECTION_START_OK,
  METHOD_EXCHANGE_DECLARE,
  METHOD_QUEUE_BIND,
  METHOD_QUEUE_DECLARE,
  METHOD_QUEUE_DELETE,
  writeBasicAck,
  writeBasicConsumeOk,
  writeBasicDeliver,
  writeBasicQosOk,
  writeChannelCloseOk,
  writeChannelOpenOk,
  writeConfirmSelectOk,
  writeConnectionCloseOk,
  writeConnectionOpenOk,
  writeConnectionStart,
  writeConnectionTune,
  writeExchangeDeclareOk,
  writeQueueBindOk,
  writeQueueDeclareOk,
  writeQueueDeleteOk,
} from "../wire/amqp_methods.ts";
import { writeHeader } from "../wire/amqp_properties.ts";
import { tableOf } from "../wire/amqp_table.ts";
import { readLong } from "../wire/amqp_values.ts";

const FRAME_BYTES_MAX = 131_072;
const BATCH_BYTES = 64 * 1024;
const CONSUMER_TAG = "sink";

/** What consumers get. */
export interface SinkOptions {
  readonly bodyBytes: number;
}

/** Serves until the listener is closed. */
export function startSink(runtime: Runtime, address: Address, options: SinkOptions): Promise<Listener> {
  return runtime.listen(address, (conn) => new SinkConnection(conn, options));
}

class SinkConnection implements ConnHandler {
  readonly #conn: Conn;
  readonly #options: SinkOptions;
  readonly #reader: FrameReader;
  #greeted = false;
  #closed = false;
  #confirming = 0;
  #published = 0;
  #confirmed = 0;
  /** Deliveries for the consumer of this connection, one behind the other; null without one. */
  #deliveries: Uint8Array | null = null;
  #feedScheduled = false;

  constructor(conn: Conn, options: SinkOptions) {
    this.#conn = conn;
    this.#options = options;
    this.#reader = new FrameReader(this);
    this.#reader.frameBytesMax = FRAME_BYTES_MAX;
  }

  onData(chunk: Uint8Array): void {
    this.#reader.push(this.#greeted ? chunk : this.#greet(chunk));
    if (this.#confirming !== 0 && this.#published > this.#confirmed) {
      writeBasicAck(this.#conn.out, this.#confirming, { deliveryTag: this.#published, multiple: true });
      this.#confirmed = this.#published;
    }
    if (this.#conn.out.length > 0) this.#conn.flush();
  }

  onDrain(): void {
    this.#feedSoon();
  }

  onClose(): void {
    this.#closed = true;
  }

  /** Hot. */
  frame(type: number, channel: number, bytes: Uint8Array, at: number, size: number): boolean {
    if (type === FRAME_BODY) return true;
    if (type !== FRAME_METHOD) return true;
    const kind = readLong(bytes, at);
    if (kind === METHOD_BASIC_PUBLISH) this.#published++;
    else if (kind !== METHOD_BASIC_ACK) this.#answer(decodeMethod(bytes, at, size), channel);
    return true;
  }

  /** The protocol header comes in one piece, or the peer is none of ours. */
  #greet(chunk: Uint8Array): Uint8Array {
    this.#greeted = true;
    writeConnectionStart(this.#conn.out, 0, {
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: tableOf({ product: "sink" }),
      mechanisms: "PLAIN",
      locales: "en_US",
    });
    return chunk.subarray(PROTOCOL_HEADER.length);
  }

  #answer(method: Method, channel: number): void {
    const out = this.#conn.out;
    switch (method.kind) {
      case METHOD_CONNECTION_START_OK:
        return writeConnectionTune(out, 0, { channelMax: 0, frameMax: FRAME_BYTES_MAX, heartbeat: 0 });
      case METHOD_CONNECTION_OPEN:
        return writeConnectionOpenOk(out, 0);
      case METHOD_CONNECTION_CLOSE:
        this.#deliveries = null;
        writeConnectionCloseOk(out, 0);
        return this.#conn.close();
      case METHOD_CHANNEL_OPEN:
        return writeChannelOpenOk(out, channel);
      case METHOD_CHANNEL_CLOSE:
        return writeChannelCloseOk(out, channel);
      case METHOD_EXCHANGE_DECLARE:
        return writeExchangeDeclareOk(out, channel);
      case METHOD_QUEUE_DECLARE:
        return writeQueueDeclareOk(out, channel, { queue: method.queue, messageCount: 0, consumerCount: 0 });
      case METHOD_QUEUE_BIND:
        return writeQueueBindOk(out, channel);
      case METHOD_QUEUE_DELETE:
        return writeQueueDeleteOk(out, channel, { messageCount: 0 });
      case METHOD_BASIC_QOS:
        return writeBasicQosOk(out, channel);
      case METHOD_CONFIRM_SELECT:
        this.#confirming = channel;
        return writeConfirmSelectOk(out, channel);
      case METHOD_BASIC_CONSUME:
        writeBasicConsumeOk(out, channel, { consumerTag: CONSUMER_TAG });
        this.#deliveries = deliveriesOf(channel, this.#options.bodyBytes);
        return this.#feedSoon();
      default:
        return;
    }
  }

  #feedSoon(): void {
    if (this.#feedScheduled || this.#deliveries === null) return;
    this.#feedScheduled = true;
    setImmediate(() => {
      this.#feedScheduled = false;
      if (this.#closed || this.#deliveries === null || this.#conn.pending > 0) return;
      this.#conn.out.append(this.#deliveries);
      this.#conn.flush();
      if (this.#conn.pending === 0) this.#feedSoon();
    });
  }
}

function deliveriesOf(channel: number, bodyBytes: number): Uint8Array {
  const out = new OutBuffer(new BufferPool());
  const body = new Uint8Array(bodyBytes);
  let count = 0;
  do {
    writeBasicDeliver(out, channel, {
      consumerTag: CONSUMER_TAG,
      deliveryTag: ++count,
      redelivered: false,
      exchange: "",
      routingKey: "perf-test",
    });
    writeHeader(out, channel, bodyBytes, {});
    writeBody(out, channel, body, 0, bodyBytes, FRAME_BYTES_MAX);
  } while (out.length + out.length / count <= BATCH_BYTES);
  return out.bytes.slice(out.start, out.end);
}
