// One MQTT connection: reads packets and gives them to whom they belong, keeps the deadlines, and ends in the way the
// version has for it. The way from CONNECT to CONNACK stands in connect.ts.

import type { Session as Login } from "../core/identity/session.ts";
import { isDiskFull } from "../lib/disk_full.ts";
import { OUT_BUFFER_BYTES } from "../lib/out_buffer.ts";
import { ReadGate } from "../lib/read_gate.ts";
import {
  MQTT_CONNECT_BYTES_MAX,
  MQTT_CONNECT_MS_MAX,
  OUT_PENDING_BYTES_CROWDED,
  OUT_PENDING_BYTES_MAX,
} from "../limits.ts";
import type { Conn } from "../runtime/runtime.ts";
import type { ServedConnection } from "../server/listener.ts";
import { peerOf } from "../server/live_socket.ts";
import { decodeConnect, type DisconnectPacket, versionOf } from "../wire/mqtt_decode.ts";
import { writeConnack, writeDisconnect } from "../wire/mqtt_encode.ts";
import {
  CONNECT,
  IMPLEMENTATION_SPECIFIC_ERROR,
  KEEP_ALIVE_TIMEOUT,
  type MqttVersion,
  PROTOCOL_ERROR,
  PUBLISH,
  SESSION_TAKEN_OVER,
  UNSPECIFIED_ERROR,
} from "../wire/mqtt_packet.ts";
import { NO_PROPERTIES, propertiesBytes } from "../wire/mqtt_properties.ts";
import { MqttReader, type PacketSink } from "../wire/mqtt_reader.ts";
import { accept, type Accepted, loginDelayMs } from "./connect.ts";
import { MqttError, returnCodeOf, toMqttError } from "./errors.ts";
import { Incoming } from "./incoming.ts";
import { LiveMqttConnection } from "./live.ts";
import type { Outgoing } from "./outgoing.ts";
import { Replays } from "./replays.ts";
import { Replies } from "./replies.ts";
import type { MqttServices } from "./services.ts";
import type { Session } from "./session.ts";

/** A client is silent when nothing came for one and a half times its keep-alive [MQTT-3.1.2-22]. */
const KEEP_ALIVE_FACTOR = 1500;
/** A CONNACK or DISCONNECT without its properties, and one that has none. */
const LAST_WORDS_BYTES = 8;
const LAST_WORDS_BYTES_MIN = 5;

export class MqttConnection implements ServedConnection, PacketSink {
  readonly conn: Conn;
  readonly services: MqttServices;
  readonly replies: Replies;
  version: MqttVersion = 4;
  /** Null before CONNACK and after the end. */
  session: Session | null = null;
  outgoing: Outgoing | null = null;
  /** Made with the first retained message that a subscription brings. */
  #replays: Replays | null = null;
  /** The socket is gone. */
  gone = false;
  /** For management. */
  receivedBytes = 0;
  chunksRead = 0;
  writes = 0;
  #live: LiveMqttConnection | null = null;
  #closing = false;
  #login: Login | null = null;
  /** What the client sends, from CONNACK on. */
  #incoming: Incoming | null = null;
  readonly #reader: MqttReader;
  readonly #gate: ReadGate;
  #sendQueued = false;
  #starved = false;
  #sendAheadBytes = OUT_BUFFER_BYTES;
  // Deadlines, monotonic milliseconds.
  readonly #acceptedMs = performance.now();
  #heard = false;
  #heardMs = this.#acceptedMs;
  #keepAliveMs = 0;
  /** Larger packets the client does not take. */
  #packetBytesMax = Infinity;
  /** What the session had when it began; a DISCONNECT may not make more of nothing. */
  #expiryAtStart = 0;
  readonly #onGone: (connection: MqttConnection) => void;

  constructor(conn: Conn, services: MqttServices, onGone: (connection: MqttConnection) => void) {
    this.conn = conn;
    this.services = services;
    this.#onGone = onGone;
    this.#gate = new ReadGate(conn, () => this.#goOn());
    this.replies = new Replies(services.commit);
    this.#reader = new MqttReader(this, MQTT_CONNECT_BYTES_MAX);
  }

  /** Nothing is said any more. */
  get ended(): boolean {
    return this.gone || this.#closing;
  }

  /** An alarm holds, and the client has wanted to publish. */
  get isBlocked(): boolean {
    return this.#gate.blocked;
  }

  /** Of a connection with a session. */
  get replays(): Replays {
    return this.#replays ??= new Replays(this, this.session!);
  }

  /** For logs: who it is, as `127.0.0.1:54321`. */
  get peer(): string {
    return peerOf(this.conn);
  }

  // Reading

  onData(chunk: Uint8Array): void {
    const { services } = this;
    this.#heard = true;
    services.clock.refresh();
    services.turn.schedule();
    services.traffic.bytesReceived += chunk.length;
    this.receivedBytes += chunk.length;
    this.chunksRead++;
    this.#read(() => this.#reader.push(chunk));
    this.#readOn();
  }

  #readOn(): void {
    while (this.#reader.stopped && !this.gone && !this.#closing && this.#gate.open) {
      this.#read(() => this.#reader.resume());
    }
  }

  #read(step: () => void): void {
    if (this.#closing || this.gone) return;
    try {
      step();
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** While an alarm holds, who wants to publish is not read any more. Hot. */
  admits(type: number): boolean {
    if (this.#gate.waiting) return false;
    if (type !== PUBLISH || !this.services.alarms.active || this.session === null) return true;
    this.#gate.blocked = true;
    this.services.log.warn(`${this.peer}: blocked, ${this.services.alarms.reason}`);
    return false;
  }

  /** Hot. */
  packet(first: number, bytes: Uint8Array, at: number, size: number): boolean {
    if (this.#closing || this.gone) return true;
    this.services.traffic.packetsReceived++;
    const incoming = this.#incoming;
    if (incoming === null) this.#connect(first, bytes, at, size);
    else incoming.packet(first, bytes, at, size);
    if (this.conn.out.length < OUT_PENDING_BYTES_MAX) return true;
    // Who asks without reading the answers is not read either.
    this.#sendAhead();
    if (this.conn.pending < OUT_PENDING_BYTES_MAX) return true;
    this.#gate.unread = true;
    return false;
  }

  // Opening

  #connect(first: number, bytes: Uint8Array, at: number, size: number): void {
    if (first !== CONNECT << 4) {
      this.#closing = true;
      this.services.log.warn(`${this.peer}: expected CONNECT, found packet type ${first >>> 4}`);
      return this.conn.close();
    }
    this.version = versionOf(bytes, at, size);
    const packet = decodeConnect(bytes, at, size);
    this.version = packet.version;
    this.#packetBytesMax = packet.properties.maximumPacketSize ?? Infinity;
    const delayMs = loginDelayMs(this, packet);
    if (delayMs === 0) return this.#open(accept(this, packet));
    this.#gate.waiting = true;
    this.services.timers.after(delayMs, () => {
      if (this.gone || this.#closing) return;
      this.#read(() => this.#open(accept(this, packet)));
      this.#gate.waiting = false;
    });
  }

  #open({ session, login, outgoing, present, properties, keepAlive, userName }: Accepted): void {
    const { services } = this;
    this.session = session;
    this.#login = login;
    this.outgoing = outgoing;
    this.#incoming = new Incoming(this, session, outgoing);
    this.#expiryAtStart = session.expirySeconds;
    this.#keepAliveMs = keepAlive * KEEP_ALIVE_FACTOR;
    this.#reader.packetBytesMax = services.settings.packetBytesMax;
    writeConnack(this.conn.out, this.version, present, 0, properties);
    this.touch();
    this.#live = new LiveMqttConnection(this, login, session.clientId, keepAlive);
    services.registry.opened(this.#live);
    services.log.info(
      `${this.peer} connected as '${userName}' to vhost '${session.host.vhost.name}', client '${session.clientId}'`,
    );
    session.attach(this);
    outgoing.resume();
  }

  // Writing

  /** Something was written to `conn.out`: it is sent at the end of the turn. Hot. */
  touch(): void {
    this.services.traffic.packetsSent++;
    if (this.#sendQueued) return;
    this.#sendQueued = true;
    this.services.turn.sendLater(this);
  }

  /** The end of the turn. */
  send(): void {
    this.#sendQueued = false;
    if (this.#incoming !== null) {
      this.#incoming.settleTurn();
      this.#sendQueued = false;
    }
    if (this.gone) return;
    this.#sendAheadBytes = OUT_BUFFER_BYTES;
    this.#flush();
  }

  #flush(): void {
    this.services.traffic.bytesSent += this.conn.out.length;
    this.writes++;
    this.conn.flush();
    this.services.traffic.bytesSent -= this.conn.out.length;
  }

  /** Whether deliveries may be written; sends what stands there when it is worth a write. Hot. */
  writable(): boolean {
    if (this.gone || this.#closing || this.#starved) return false;
    if (this.conn.out.length < this.#sendAheadBytes) return true;
    this.#sendAhead();
    // While the socket takes nothing it is not offered every message anew.
    this.#sendAheadBytes = this.conn.out.length + OUT_BUFFER_BYTES;
    const pendingMax = this.conn.out.crowded ? OUT_PENDING_BYTES_CROWDED : OUT_PENDING_BYTES_MAX;
    this.#starved = this.conn.pending >= pendingMax;
    return !this.#starved;
  }

  /** Sends in the middle of a turn, but never ahead of the files. */
  #sendAhead(): void {
    this.services.commit.flushAhead();
    this.#flush();
  }

  onDrain(): void {
    if (this.#starved) {
      this.#starved = false;
      this.services.turn.schedule();
      this.outgoing?.goOn();
      if (this.session !== null) this.#replays?.goOn();
    }
    this.#gate.unread = false;
  }

  /** Reads again, in a turn of its own. */
  #goOn(): void {
    this.services.clock.refresh();
    this.services.turn.schedule();
    this.#readOn();
  }

  /** An alarm was raised or cleared: without any, reading goes on. */
  alarmsChanged(): void {
    if (this.services.alarms.active || !this.#gate.blocked || this.gone) return;
    this.services.log.info(`${this.peer}: no longer blocked`);
    this.#gate.blocked = false;
  }

  // Ending

  #refuse(error: unknown): void {
    const refused = toMqttError(error);
    if (isDiskFull(error)) this.services.alarms.diskFull();
    if (refused.code === UNSPECIFIED_ERROR) {
      this.services.log.error(`${this.peer}: ${error instanceof Error ? error.stack : error}`);
    }
    this.fail(refused);
  }

  /** Tells the peer why the connection ends, as far as its version has words for it, and ends it. */
  fail(error: MqttError): void {
    if (this.gone || this.#closing) return;
    this.services.log.warn(`${this.peer}: ${error.message} (0x${error.code.toString(16)})`);
    const { out } = this.conn;
    const told = { reasonString: error.message };
    // Not where the packet would be larger than the client takes [MQTT-3.2.2-19, MQTT-3.14.2-3].
    const properties = propertiesBytes(told) + LAST_WORDS_BYTES <= this.#packetBytesMax ? told : NO_PROPERTIES;
    if (this.#packetBytesMax < LAST_WORDS_BYTES_MIN) {
      // It takes no last words at all.
    } else if (this.session === null) {
      const code = this.version === 5 ? error.code : returnCodeOf(error.code);
      if (code !== null) writeConnack(out, this.version, false, code, properties);
    } else if (this.version === 5) {
      writeDisconnect(out, error.code, properties);
    }
    this.#end(true);
  }

  /** Another connection of the client goes on with the session. */
  takenOver(): void {
    this.fail(new MqttError(SESSION_TAKEN_OVER, "the client has connected anew"));
  }

  /** A queue of the session was deleted. */
  deleted(): void {
    this.fail(new MqttError(IMPLEMENTATION_SPECIFIC_ERROR, "a queue of the session was deleted"));
  }

  /** The client says goodbye. */
  disconnected({ code, properties }: DisconnectPacket): void {
    const session = this.session!;
    const { sessionExpiry } = properties;
    if (sessionExpiry !== undefined) {
      if (this.#expiryAtStart === 0 && sessionExpiry !== 0) {
        throw new MqttError(PROTOCOL_ERROR, "a session that was to end with its connection gets an expiry");
      }
      const { sessionExpiryMax } = this.services.settings;
      session.expirySeconds = sessionExpiryMax === 0 ? sessionExpiry : Math.min(sessionExpiry, sessionExpiryMax);
    }
    this.services.log.info(`${this.peer} disconnected, client '${session.clientId}'`);
    this.#end(code !== 0);
  }

  #end(withWill: boolean): void {
    this.#closing = true;
    this.#release(withWill);
    this.conn.close();
  }

  /** The session goes its own way. Idempotent. */
  #release(withWill: boolean): void {
    const { session } = this;
    this.session = null;
    if (session !== null) session.host.leave(session, withWill);
    if (this.#live !== null) this.services.registry.closed(this.#live);
    this.#live = null;
    this.#login?.close();
    this.#login = null;
  }

  onClose(error: Error | null): void {
    this.gone = true;
    this.services.clock.refresh();
    this.services.turn.schedule();
    if (error !== null) this.services.log.debug(`${this.peer}: ${error.message}`);
    else if (this.session !== null) this.services.log.info(`${this.peer} is gone without a DISCONNECT`);
    this.#release(true);
    this.#onGone(this);
  }

  /** Now and then: deadlines. `nowMs` is monotonic. */
  tick(nowMs: number): void {
    // Who is not read cannot be heard.
    if (this.#heard || !this.#gate.open) {
      this.#heard = false;
      this.#heardMs = nowMs;
    }
    if (this.#closing) return;
    if (this.session === null) {
      if (nowMs - this.#acceptedMs <= MQTT_CONNECT_MS_MAX) return;
      this.services.log.warn(`${this.peer}: no CONNECT in time`);
      return this.conn.abort();
    }
    if (this.#keepAliveMs === 0 || nowMs - this.#heardMs <= this.#keepAliveMs) return;
    this.fail(new MqttError(KEEP_ALIVE_TIMEOUT, "nothing heard for one and a half times the keep-alive"));
  }
}
