// An AMQP 0-9-1 client connection: handshake, tuning, heartbeats, channels, close. Small and fast: frames are handed to
// the channels in place, and nothing is allocated per message. Does not reconnect; that is for whoever uses it.

import type { OutBuffer } from "../lib/out_buffer.ts";
import type { Conn, Runtime } from "../runtime/runtime.ts";
import {
  FRAME_BODY,
  FRAME_HEADER,
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FrameReader,
  PROTOCOL_HEADER,
  ProtocolViolation,
  writeHeartbeat,
} from "../wire/amqp_frame.ts";
import {
  type ChannelOpenOk,
  decodeMethod,
  METHOD_CHANNEL_OPEN_OK,
  METHOD_CONNECTION_BLOCKED,
  METHOD_CONNECTION_CLOSE,
  METHOD_CONNECTION_CLOSE_OK,
  METHOD_CONNECTION_OPEN_OK,
  METHOD_CONNECTION_START,
  METHOD_CONNECTION_TUNE,
  METHOD_CONNECTION_UNBLOCKED,
  METHOD_NAMES,
  writeChannelOpen,
  writeConnectionClose,
  writeConnectionCloseOk,
  writeConnectionOpen,
  writeConnectionStartOk,
  writeConnectionTuneOk,
} from "../wire/amqp_methods.ts";
import { tableOf } from "../wire/amqp_table.ts";
import { readLong } from "../wire/amqp_values.ts";
import { AmqpChannel } from "./amqp_channel.ts";
import { AmqpFault } from "./amqp_fault.ts";
import type { AmqpUri } from "./amqp_uri.ts";

/** Frame size asked for when the URI says nothing, bytes: what every broker offers. */
const FRAME_BYTES_DEFAULT = 131_072;
/** AMQP 1.4.2.6: no peer may be held to less. In smaller ones nothing can be sent. */
const FRAME_BYTES_MIN = 4096;
/** Server properties and mechanisms stand in the first frame, bytes. */
const HANDSHAKE_FRAME_BYTES_MAX = 65_536;
const HANDSHAKE_MS_MAX = 10_000;
/** How long a broker may take to answer connection.close, ms. */
const CLOSE_MS_MAX = 3_000;
const CHANNEL_MAX_DEFAULT = 2_047;
const REPLY_SUCCESS = 200;

type Phase = "start" | "tune" | "open" | "ready" | "closing" | "closed";

/** Opens a connection. Rejects with a ConnectFault, or with an AmqpFault when the broker refuses. */
export async function connectAmqp(runtime: Runtime, uri: AmqpUri, product: string): Promise<AmqpConnection> {
  let connection: AmqpConnection | undefined;
  await runtime.connect(
    { host: uri.host, port: uri.port },
    (conn) => connection = new AmqpConnection(conn, uri, product),
  );
  if (connection === undefined) throw new AmqpFault(0, "the runtime gave no connection");
  await connection.opened;
  return connection;
}

export class AmqpConnection {
  /** When the handshake is done; `connectAmqp` waits for it. */
  readonly opened: Promise<void>;
  /** Called when everything written has gone to the kernel after `pending` was above 0. */
  drained: (() => void) | null = null;
  /** Agreed upon in the handshake: the largest frame, bytes, and the heartbeat, seconds. */
  frameBytesMax = HANDSHAKE_FRAME_BYTES_MAX;
  heartbeatS = 0;
  readonly #conn: Conn;
  readonly #uri: AmqpUri;
  readonly #product: string;
  readonly #reader: FrameReader;
  readonly #channels: (AmqpChannel | undefined)[] = [];
  readonly #opening = Promise.withResolvers<void>();
  readonly #closing = Promise.withResolvers<void>();
  #channelMax = CHANNEL_MAX_DEFAULT;
  #phase: Phase = "start";
  #fault: AmqpFault | null = null;
  /** Of the handshake, then of connection.close. */
  #deadline: ReturnType<typeof setTimeout> | undefined;
  #heartbeat: ReturnType<typeof setInterval> | undefined;
  #heard = true;

  constructor(conn: Conn, uri: AmqpUri, product: string) {
    this.#conn = conn;
    this.#uri = uri;
    this.#product = product;
    this.#reader = new FrameReader(this);
    this.#reader.frameBytesMax = HANDSHAKE_FRAME_BYTES_MAX;
    this.opened = this.#opening.promise;
    this.opened.catch(() => {});
    conn.out.append(PROTOCOL_HEADER);
    conn.flush();
    this.#deadline = setTimeout(() => this.#abort("the broker did not finish the handshake"), HANDSHAKE_MS_MAX);
  }

  /** Whole frames may be written here at any time; `flush` sends them. */
  get out(): OutBuffer {
    return this.#conn.out;
  }

  /** Bytes written that the kernel has not taken yet. */
  get pending(): number {
    return this.#conn.pending;
  }

  flush(): void {
    if (this.#phase !== "closed") this.#conn.flush();
  }

  /** Opens a channel on the lowest free number. Rejects with an AmqpFault. */
  async openChannel(): Promise<AmqpChannel> {
    if (this.#phase !== "ready") throw this.#fault ?? new AmqpFault(0, "the connection is closed");
    let number = 1;
    while (this.#channels[number] !== undefined) number++;
    if (number > this.#channelMax) throw new AmqpFault(0, `the broker allows ${this.#channelMax} channels`);
    const channel = new AmqpChannel(this, number);
    this.#channels[number] = channel;
    await channel.call<ChannelOpenOk>(METHOD_CHANNEL_OPEN_OK, writeChannelOpen);
    return channel;
  }

  /** Closes in the protocol's way, or after 3 s without an answer anyhow. Never rejects. */
  async close(): Promise<void> {
    if (this.#phase === "ready") {
      this.#phase = "closing";
      writeConnectionClose(this.out, 0, { replyCode: REPLY_SUCCESS, replyText: "bye", classId: 0, methodId: 0 });
      this.#conn.flush();
      this.#deadline = setTimeout(() => this.#conn.abort(), CLOSE_MS_MAX);
    } else if (this.#phase !== "closing" && this.#phase !== "closed") {
      this.#conn.abort();
    }
    await this.#closing.promise;
  }

  /** For the channels: a number is free again. */
  release(number: number): void {
    this.#channels[number] = undefined;
  }

  /** For the runtime. Hot. */
  onData(chunk: Uint8Array): void {
    this.#heard = true;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      if (!(error instanceof ProtocolViolation) && !(error instanceof AmqpFault)) throw error;
      return this.#abort(error.message);
    }
    for (let number = 1; number < this.#channels.length; number++) this.#channels[number]?.handler?.turn();
    if (this.out.length > 0) this.flush();
  }

  /** For the runtime. */
  onDrain(): void {
    this.drained?.();
  }

  /** For the runtime. */
  onClose(error: Error | null): void {
    const cause = error === null ? "" : `: ${error.message}`;
    const handshake = this.#phase === "start" || this.#phase === "tune" || this.#phase === "open";
    const where = handshake ? ` during the handshake (phase ${this.#phase})` : "";
    this.#end(new AmqpFault(0, `the broker closed the connection${where}${cause}`));
  }

  /** For the frame reader. Hot. */
  frame(type: number, number: number, bytes: Uint8Array, at: number, size: number): boolean {
    if (number !== 0) {
      const channel = this.#channels[number];
      if (channel === undefined) return true;
      if (type === FRAME_BODY) channel.body(bytes, at, size);
      else if (type === FRAME_HEADER) channel.header(bytes, at, size);
      else if (type === FRAME_METHOD) channel.method(readLong(bytes, at), bytes, at, size);
    } else if (type === FRAME_METHOD) {
      this.#control(bytes, at, size);
    } else if (type !== FRAME_HEARTBEAT) {
      throw new AmqpFault(0, `the broker sent a frame of type ${type} on channel 0`);
    }
    return true;
  }

  /** A method for the connection itself. */
  #control(bytes: Uint8Array, at: number, size: number): void {
    const method = decodeMethod(bytes, at, size);
    switch (method.kind) {
      case METHOD_CONNECTION_START:
        this.#expect("start", method.kind);
        return this.#answerStart(method.mechanisms);
      case METHOD_CONNECTION_TUNE:
        this.#expect("tune", method.kind);
        return this.#answerTune(method.channelMax, method.frameMax, method.heartbeat);
      case METHOD_CONNECTION_OPEN_OK:
        this.#expect("open", method.kind);
        this.#phase = "ready";
        clearTimeout(this.#deadline);
        this.#startHeartbeats();
        return this.#opening.resolve();
      case METHOD_CONNECTION_CLOSE:
        writeConnectionCloseOk(this.out, 0);
        this.#conn.close();
        return this.#end(new AmqpFault(method.replyCode, method.replyText));
      case METHOD_CONNECTION_CLOSE_OK:
        this.#expect("closing", method.kind);
        this.#conn.close();
        return;
      case METHOD_CONNECTION_BLOCKED:
      case METHOD_CONNECTION_UNBLOCKED:
        return;
      default:
        throw new AmqpFault(0, `the broker sent ${METHOD_NAMES.get(method.kind)} on channel 0`);
    }
  }

  #expect(phase: Phase, kind: number): void {
    if (this.#phase !== phase) {
      throw new AmqpFault(0, `the broker sent ${METHOD_NAMES.get(kind)} in phase ${this.#phase}`);
    }
  }

  #answerStart(mechanisms: string): void {
    if (!mechanisms.split(" ").includes("PLAIN")) {
      throw new AmqpFault(0, `the broker offers the mechanisms ${mechanisms}, not PLAIN`);
    }
    const capabilities = {
      "authentication_failure_close": true,
      "basic.nack": true,
      "publisher_confirms": true,
      "consumer_cancel_notify": true,
    };
    writeConnectionStartOk(this.out, 0, {
      clientProperties: tableOf({ product: this.#product, platform: "JavaScript", capabilities }),
      mechanism: "PLAIN",
      response: new TextEncoder().encode(`\0${this.#uri.user}\0${this.#uri.password}`),
      locale: "en_US",
    });
    this.#phase = "tune";
  }

  #answerTune(channelMax: number, frameMax: number, heartbeat: number): void {
    if (frameMax !== 0 && frameMax < FRAME_BYTES_MIN) {
      throw new AmqpFault(0, `the broker takes frames of ${frameMax} octets, expected ${FRAME_BYTES_MIN} or more`);
    }
    this.#channelMax = lowerLimit(channelMax, this.#uri.channelMax ?? CHANNEL_MAX_DEFAULT);
    this.frameBytesMax = lowerLimit(frameMax, this.#uri.frameBytesMax ?? FRAME_BYTES_DEFAULT);
    this.heartbeatS = this.#uri.heartbeatS === null ? heartbeat : lowerLimit(heartbeat, this.#uri.heartbeatS);
    if (this.#uri.heartbeatS === 0) this.heartbeatS = 0;
    this.#reader.frameBytesMax = Math.max(this.frameBytesMax, HANDSHAKE_FRAME_BYTES_MAX);
    writeConnectionTuneOk(this.out, 0, {
      channelMax: this.#channelMax,
      frameMax: this.frameBytesMax,
      heartbeat: this.heartbeatS,
    });
    writeConnectionOpen(this.out, 0, { virtualHost: this.#uri.virtualHost });
    this.#phase = "open";
  }

  /** Each half interval a heartbeat is sent; four halves of silence end the connection (AMQP 4.2.7). */
  #startHeartbeats(): void {
    if (this.heartbeatS === 0) return;
    let silentHalves = 0;
    this.#heartbeat = setInterval(() => {
      silentHalves = this.#heard ? 0 : silentHalves + 1;
      this.#heard = false;
      if (silentHalves >= 4) return this.#abort(`no heartbeat from the broker for ${2 * this.heartbeatS} s`);
      if (this.pending > 0) return;
      writeHeartbeat(this.out);
      this.flush();
    }, this.heartbeatS * 500);
  }

  #abort(text: string): void {
    this.#end(new AmqpFault(0, text));
    this.#conn.abort();
  }

  #end(fault: AmqpFault): void {
    if (this.#phase === "closed") return;
    const asked = this.#phase === "closing";
    this.#phase = "closed";
    this.#fault = fault;
    clearTimeout(this.#deadline);
    clearInterval(this.#heartbeat);
    this.#opening.reject(fault);
    for (const channel of this.#channels) if (channel !== undefined) channel.fail(fault, asked);
    this.#closing.resolve();
  }
}

/** AMQP 1.4.2.6: of two limits the lower one counts, and 0 is none. */
function lowerLimit(theirs: number, ours: number): number {
  if (theirs === 0) return ours;
  return ours === 0 ? theirs : Math.min(theirs, ours);
}
