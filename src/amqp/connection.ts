// One AMQP connection: reads frames and gives them to its channels, answers class connection, keeps heartbeats and
// deadlines, and ends with the right code. The way from the first byte to connection.open stands in handshake.ts.

import type { Alarms } from "../core/alarms.ts";
import type { Waiter } from "../core/pace.ts";
import { Traffic } from "../core/statistics/counters.ts";
import type { ConnectionState } from "../core/statistics/registry.ts";
import { isDiskFull } from "../lib/disk_full.ts";
import { OUT_BUFFER_BYTES } from "../lib/out_buffer.ts";
import { ReadGate } from "../lib/read_gate.ts";
import { OUT_PENDING_BYTES_CROWDED, OUT_PENDING_BYTES_MAX } from "../limits.ts";
import type { Conn } from "../runtime/runtime.ts";
import type { ServedConnection } from "../server/listener.ts";
import { peerOf } from "../server/live_socket.ts";
import {
  FRAME_HEARTBEAT,
  FRAME_METHOD,
  FRAME_OVERHEAD_BYTES,
  FrameReader,
  type FrameSink,
  writeHeartbeat,
} from "../wire/amqp_frame.ts";
import {
  decodeMethod,
  METHOD_CONNECTION_CLOSE,
  METHOD_CONNECTION_CLOSE_OK,
  writeConnectionClose,
  writeConnectionCloseOk,
} from "../wire/amqp_methods.ts";
import { AlarmStop } from "./alarm_stop.ts";
import type { Channel } from "./channel.ts";
import { onOpenConnection, withoutChannel } from "./channel_zero.ts";
import { Deadlines } from "./deadlines.ts";
import { AmqpError, methodId, toAmqpError } from "./errors.ts";
import { Handshake, type Opened } from "./handshake.ts";
import { Holdings } from "./holdings.ts";
import { LiveAmqpConnection } from "./live.ts";
import type { AmqpServices } from "./services.ts";

/** After so many bytes a publisher asks whether it is to wait. */
const PACED_BYTES = 16 * 1024;

export class AmqpConnection implements ServedConnection, FrameSink, Waiter {
  readonly conn: Conn;
  readonly services: AmqpServices;
  /** Largest frame we send, with its overhead. */
  frameBytesMax = 0;
  /** The socket is gone. */
  gone = false;
  /** What management shows of it; null until it is open. */
  live: LiveAmqpConnection | null = null;
  readonly traffic = new Traffic();
  chunksRead = 0;
  writes = 0;
  #opened: Opened | null = null;
  #handshake: Handshake | null;
  /** We have sent connection.close and wait for close-ok. */
  #closing = false;
  readonly #reader: FrameReader;
  readonly #channels = new Map<number, Channel>();
  /** The channel of the last frame: mostly that of the next. */
  #channel: Channel | null = null;
  /** Channels whose confirms are due at the end of the turn. */
  #due: Channel[] = [];
  /** Channels that were left in the middle of a message by a frame of another one. */
  #interrupted: Channel[] = [];
  #sendQueued = false;
  /** With so much to send it is worth a write in the middle of a turn. */
  #sendAheadBytes = OUT_BUFFER_BYTES;
  /** A consumer was held back because too much is pending. */
  #starved = false;
  readonly gate: ReadGate;
  /** Since it asked last. */
  #pacedBytes = 0;
  /** With so much to send it may be the peer's fault; see `#holdBack`. */
  #readUpTo = OUT_PENDING_BYTES_MAX;
  readonly #alarmStop: AlarmStop;
  readonly #alarms: Alarms;
  readonly #deadlines: Deadlines;
  readonly holdings: Holdings;
  readonly #onGone: (connection: AmqpConnection) => void;

  constructor(conn: Conn, services: AmqpServices, onGone: (connection: AmqpConnection) => void) {
    this.conn = conn;
    this.services = services;
    this.#onGone = onGone;
    this.#deadlines = new Deadlines(performance.now(), services.settings.handshakeMs);
    this.gate = new ReadGate(conn, () => this.#goOn());
    this.holdings = new Holdings(services.settings.messageBytesMax, this.gate);
    this.#alarmStop = new AlarmStop(this, this.gate);
    this.#alarms = services.alarms;
    this.#reader = new FrameReader(this);
    this.#handshake = new Handshake(this);
  }

  get userName(): string {
    return this.#opened?.session.user.name ?? "";
  }

  /** For logs: who it is, as `127.0.0.1:54321`. */
  get peer(): string {
    return peerOf(this.conn);
  }

  get state(): ConnectionState {
    if (this.#closing) return "closing";
    return this.gate.blocked ? "blocked" : this.#alarms.active ? "blocking" : "running";
  }

  get channels(): Iterable<Channel> {
    return this.#channels.values();
  }

  get channelCount(): number {
    return this.#channels.size;
  }

  /** Whether the client announced a capability. */
  understands(capability: string): boolean {
    return this.#opened?.capabilities.has(capability) ?? false;
  }

  // Reading

  onData(chunk: Uint8Array): void {
    this.traffic.received += chunk.length;
    this.chunksRead++;
    this.#deadlines.heard = true;
    this.services.clock.refresh();
    // A turn ends for every chunk, whatever stands in it: what is to be written and synced must not wait for the next.
    this.services.turn.schedule();
    const handshake = this.#handshake;
    if (handshake !== null && !handshake.started) {
      chunk = handshake.protocolHeader(chunk);
      if (chunk.length === 0) return;
    }
    this.#read(() => this.#reader.push(chunk));
    this.#readOn();
    this.#pacedBytes += chunk.length;
    if (this.#pacedBytes >= PACED_BYTES) this.#keepPace();
  }

  /** Who brings much waits for the consumers of what it publishes, unless it is a consumer itself. */
  #keepPace(): void {
    this.#pacedBytes = 0;
    const channel = this.#channel;
    if (channel === null || !this.gate.open || !channel.makesWait(this)) return;
    this.gate.paced = true;
  }

  /** The consumers have taken what it has brought. */
  goOn(): void {
    if (!this.gone) this.gate.paced = false;
  }

  #readOn(): void {
    while ((this.#alarmStop.postponed || this.#reader.stopped) && !this.gone && this.gate.open) {
      this.#read(() => {
        const postponed = this.#alarmStop.takePostponed();
        if (postponed === null) return this.#reader.resume();
        this.#handle(FRAME_METHOD, postponed.channel, postponed.payload, 0, postponed.payload.length);
      });
    }
  }

  /** What a step leaves in the middle of a message must not refer to the chunk any more. */
  #read(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#refuse(error);
    }
    this.#channel?.detach();
    if (this.#interrupted.length === 0) return;
    for (const channel of this.#interrupted) channel.detach();
    this.#interrupted.length = 0;
  }

  /** Hot. */
  frame(type: number, number: number, bytes: Uint8Array, at: number, size: number): boolean {
    if (this.gone) return true;
    if (this.#handshake !== null) this.#handleStranger(type, number, bytes, at, size);
    else if (this.#alarms.active && this.#stopsAt(type, number, bytes, at, size)) return false;
    else this.#handle(type, number, bytes, at, size);
    return this.conn.out.length < this.#readUpTo || !this.#holdBack();
  }

  /**
   * What is refused is so here and now: nothing of what a stranger has sent behind it is kept. Apart from `frame`, which a
   * closure over its parameters would make allocate for every frame.
   */
  #handleStranger(type: number, number: number, bytes: Uint8Array, at: number, size: number): void {
    this.#read(() => this.#handle(type, number, bytes, at, size));
  }

  /**
   * A peer that asks without reading the answers (basic.get, returned messages) is not read either, so that it cannot
   * make us hold more than it could make the kernel hold. True when that is so now.
   */
  #holdBack(): boolean {
    if (this.gate.held) return true;
    this.#sendAhead();
    if (this.conn.pending < OUT_PENDING_BYTES_MAX) return false;
    this.gate.unread = true;
    return true;
  }

  #stopsAt(type: number, number: number, bytes: Uint8Array, at: number, size: number): boolean {
    return this.#opened !== null && !this.#closing && this.#alarmStop.stopsAt(type, number, bytes, at, size);
  }

  /** An alarm was raised or cleared: without any, reading goes on. */
  alarmsChanged(): void {
    if (this.#alarms.active || !this.gate.blocked || this.gone) return;
    this.#alarmStop.end();
  }

  /** Reads again, in a turn of its own. */
  #goOn(): void {
    this.services.clock.refresh();
    this.services.turn.schedule();
    this.#readOn();
  }

  /** Hot. */
  #handle(type: number, number: number, bytes: Uint8Array, at: number, size: number): void {
    if (type === FRAME_HEARTBEAT) {
      if (number !== 0) throw new AmqpError(505, `expected heartbeat on channel 0, found it on channel ${number}`);
      return;
    }
    let channel = this.#channel;
    if (channel !== null && channel.number === number && !this.#closing) {
      return channel.frame(type, bytes, at, size);
    }
    if (channel !== null && channel.busy) this.#interrupted.push(channel);
    if (number === 0 || this.#closing || this.#opened === null) {
      this.#channel = null;
      return this.#onChannelZero(type, number, bytes, at, size);
    }
    channel = this.#channels.get(number) ?? null;
    this.#channel = channel;
    if (channel === null) this.#withoutChannel(this.#opened, type, number, bytes, at, size);
    else channel.frame(type, bytes, at, size);
  }

  #onChannelZero(type: number, number: number, bytes: Uint8Array, at: number, size: number): void {
    const id = type === FRAME_METHOD ? methodId(bytes, at, size) : 0;
    if (this.#closing) {
      if (number === 0 && id === METHOD_CONNECTION_CLOSE_OK) this.conn.close();
      if (number === 0 && id === METHOD_CONNECTION_CLOSE) this.#closeOk();
      return;
    }
    if (number !== 0) throw new AmqpError(504, "expected a channel after connection.open-ok");
    if (type !== FRAME_METHOD) throw new AmqpError(505, `expected a method on channel 0, found frame type ${type}`);
    const method = decodeMethod(bytes, at, size);
    if (method.kind === METHOD_CONNECTION_CLOSE) return this.#closeOk();
    if (this.#handshake !== null) return this.#handshake.method(method);
    onOpenConnection(this, method);
  }

  /** A frame for a channel that is not open. */
  #withoutChannel(opened: Opened, type: number, number: number, bytes: Uint8Array, at: number, size: number): void {
    const id = type === FRAME_METHOD ? methodId(bytes, at, size) : 0;
    const channel = withoutChannel(this, opened, number, id, { bytes, at, size });
    if (channel !== null) this.#channels.set(number, channel);
  }

  // Writing

  /** Something was written to `conn.out`: it is sent at the end of the turn. Hot. */
  touch(): void {
    if (this.#sendQueued) return;
    this.#sendQueued = true;
    this.services.turn.sendLater(this);
  }

  /** `channel.settleConfirms` is called at the end of the turn. */
  endOfTurn(channel: Channel): void {
    this.#due.push(channel);
    this.touch();
  }

  /** The end of the turn. */
  send(): void {
    this.#sendQueued = false;
    if (this.#due.length > 0) {
      const due = this.#due;
      this.#due = [];
      for (const channel of due) channel.settleConfirms();
    }
    if (this.gone) return;
    this.#deadlines.spoke(performance.now());
    this.#sendAheadBytes = OUT_BUFFER_BYTES;
    this.writes++;
    this.conn.flush();
  }

  /** Whether deliveries may be written; sends what stands there when it is worth a write. Hot. */
  writable(): boolean {
    if (this.gone || this.#closing) return false;
    if (this.#starved) return false;
    if (this.conn.out.length < this.#sendAheadBytes) return true;
    this.#sendAhead();
    // While the socket takes nothing it is not offered every message anew.
    this.#sendAheadBytes = this.conn.out.length + OUT_BUFFER_BYTES;
    const pendingMax = this.conn.out.crowded ? OUT_PENDING_BYTES_CROWDED : OUT_PENDING_BYTES_MAX;
    this.#starved = this.conn.pending >= pendingMax;
    return !this.#starved;
  }

  /**
   * Sends in the middle of a turn. What a client sees is never ahead of the files: the deliveries are noted as such, the
   * acknowledgements that made room for them are written.
   */
  #sendAhead(): void {
    this.services.commit.flushAhead();
    this.writes++;
    this.conn.flush();
  }

  onDrain(): void {
    if (this.#starved) {
      this.#starved = false;
      for (const channel of this.#channels.values()) channel.wakeConsumers();
    }
    this.gate.unread = false;
  }

  // Opening and ending

  /** The handshake is done. */
  open(opened: Opened): void {
    this.#opened = opened;
    this.#handshake = null;
    this.frameBytesMax = opened.frameBytesMax;
    this.#deadlines.opened(opened.heartbeatSeconds * 1000);
    this.live = new LiveAmqpConnection(this, opened);
    this.services.registry.opened(this.live);
    this.services.log.info(`${this.peer} connected as '${opened.session.user.name}' to vhost '${opened.vhost.name}'`);
  }

  /**
   * Frames the client may send from tune-ok on. As with RabbitMQ their payload may be as large as a whole frame should
   * be: quite some clients (rabbitmq-client is one) count without the overhead.
   */
  acceptFrames(frameBytesMax: number): void {
    this.#reader.frameBytesMax = frameBytesMax + FRAME_OVERHEAD_BYTES;
  }

  /** Reads nothing for a while and then goes on, unless the peer is gone by then. */
  later(delayMs: number, work: () => void): void {
    this.#readUpTo = -1;
    this.gate.hold(delayMs, () => {
      if (this.gone || this.#closing) return false;
      this.#readUpTo = OUT_PENDING_BYTES_MAX;
      this.#read(work);
      return true;
    });
  }

  forget(channel: Channel): void {
    this.#channels.delete(channel.number);
    if (this.#channel === channel) this.#channel = null;
  }

  /** Ends a channel or the connection over what was thrown while a frame was handled. */
  #refuse(error: unknown): void {
    const refused = toAmqpError(error);
    if (isDiskFull(error)) this.#alarms.diskFull();
    if (refused.code === 541) this.services.log.error(`${this.peer}: ${error instanceof Error ? error.stack : error}`);
    const channel = this.#channel;
    if (refused.endsChannelOnly && channel !== null) {
      this.services.log.warn(`${this.peer} channel ${channel.number}: ${refused.replyText}`);
      channel.fail(refused);
    } else {
      this.fail(refused, this.#reader.broken ? 0 : channel?.methodId ?? 0);
    }
  }

  /** Tells the peer why the connection ends, and ends it. */
  fail(error: AmqpError, methodId = 0): void {
    if (this.gone || this.#closing) return;
    this.services.log.warn(`${this.peer}: ${error.replyText}`);
    // Nobody who has not said a word of AMQP is sent more than the protocol header.
    if (this.#handshake !== null && !this.#handshake.started) return this.conn.close();
    this.#release();
    this.#closing = true;
    this.#deadlines.closing(performance.now());
    writeConnectionClose(this.conn.out, 0, {
      replyCode: error.code,
      replyText: error.replyText,
      classId: methodId >>> 16,
      methodId: methodId & 0xFFFF,
    });
    this.touch();
    this.gate.blocked = false;
    this.gate.waiting = false;
    // Without an open connection there is no close handshake, behind a broken frame no close-ok to be found.
    if (this.#opened === null || this.#reader.broken) this.conn.close();
  }

  /** Ends the connection without a word. */
  hangUp(): void {
    this.#closing = true;
    this.#deadlines.closing(performance.now());
    this.conn.close();
  }

  #closeOk(): void {
    this.#release();
    writeConnectionCloseOk(this.conn.out, 0);
    this.hangUp();
  }

  /** Gives back everything the connection holds. Idempotent. */
  #release(): void {
    for (const channel of this.#channels.values()) channel.abandon();
    this.#channels.clear();
    this.#channel = null;
    this.#opened?.vhost.removeOwned(this);
    this.#opened?.session.close();
  }

  onClose(error: Error | null): void {
    this.gone = true;
    this.services.clock.refresh();
    this.services.turn.schedule();
    this.#release();
    if (this.live !== null) this.services.registry.closed(this.live);
    if (error !== null) this.services.log.debug(`${this.peer}: ${error.message}`);
    else if (this.#opened !== null) this.services.log.info(`${this.peer} disconnected`);
    this.#onGone(this);
  }

  /** Now and then: heartbeats and deadlines. `nowMs` is monotonic. */
  tick(nowMs: number): void {
    for (const channel of this.#channels.values()) channel.tick(nowMs);
    // Who is not read cannot be heard.
    if (this.gate.blocked || this.gate.waiting) this.#deadlines.heard = true;
    switch (this.#deadlines.judge(nowMs)) {
      case "fine":
        return;
      case "heartbeat-due":
        if (this.conn.pending > 0) return;
        writeHeartbeat(this.conn.out);
        return this.touch();
      case "not-opened":
        this.services.log.warn(`${this.peer}: the connection was not opened in time`);
        return this.conn.abort();
      case "silent":
        this.services.log.warn(`${this.peer}: missed heartbeats, nothing heard for two intervals`);
        return this.conn.abort();
      case "not-closed":
        return this.conn.abort();
    }
  }
}
