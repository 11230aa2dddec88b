// An MQTT connection outwards: CONNECT to CONNACK, then packets as they come, without an object for any of them.

import type { Address, Conn, ConnHandler, Runtime } from "../runtime/runtime.ts";
import type { OutBuffer } from "../lib/out_buffer.ts";
import { type ConnectOptions, writeConnect, writePlainDisconnect } from "../wire/mqtt_encode.ts";
import { CONNACK, REMAINING_BYTES_MAX } from "../wire/mqtt_packet.ts";
import { MqttReader, type PacketSink } from "../wire/mqtt_reader.ts";

/** The server refused the connection, or ended it. */
export class MqttFault extends Error {
  override readonly name = "MqttFault";
}

export interface MqttClientHandler {
  /** A packet behind CONNACK; valid during the call. Hot. */
  packet(first: number, bytes: Uint8Array, at: number, size: number): void;
  /** All packets of a chunk were handed over. */
  turn(): void;
  /** What was written is with the kernel. */
  drained(): void;
  /** The connection is gone; null when it was closed from this side. */
  closed(fault: MqttFault | null): void;
}

export class MqttClientConnection implements ConnHandler, PacketSink {
  /** Until the owner sets its own, packets are dropped. */
  handler: MqttClientHandler = NOBODY;
  /** The server had a session of this client. */
  sessionPresent = false;
  readonly opened = Promise.withResolvers<void>();
  readonly #conn: Conn;
  readonly #reader = new MqttReader(this, REMAINING_BYTES_MAX);
  #isOpen = false;
  #closing = false;

  constructor(conn: Conn, options: ConnectOptions) {
    this.#conn = conn;
    this.opened.promise.catch(() => {});
    writeConnect(conn.out, options);
    conn.flush();
  }

  get out(): OutBuffer {
    return this.#conn.out;
  }

  get pending(): number {
    return this.#conn.pending;
  }

  flush(): void {
    this.#conn.flush();
  }

  onData(chunk: Uint8Array): void {
    this.#reader.push(chunk);
    this.handler.turn();
    if (this.#conn.out.length > 0) this.#conn.flush();
  }

  admits(): boolean {
    return true;
  }

  /** Hot. */
  packet(first: number, bytes: Uint8Array, at: number, size: number): boolean {
    if (this.#isOpen) {
      this.handler.packet(first, bytes, at, size);
      return true;
    }
    const code = first >>> 4 === CONNACK && size >= 2 ? bytes[at + 1]! : -1;
    if (code !== 0) {
      const told = code < 0 ? `expected CONNACK, found packet type ${first >>> 4}` : `refused with code ${code}`;
      this.opened.reject(new MqttFault(told));
      this.#conn.abort();
      return true;
    }
    this.sessionPresent = (bytes[at]! & 1) !== 0;
    this.#isOpen = true;
    this.opened.resolve();
    return true;
  }

  onDrain(): void {
    this.handler.drained();
  }

  onClose(error: Error | null): void {
    const fault = this.#closing ? null : new MqttFault(error?.message ?? "the server ended the connection");
    if (fault !== null) this.opened.reject(fault);
    this.handler.closed(fault);
  }

  /** Says goodbye and closes. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    writePlainDisconnect(this.#conn.out);
    this.#conn.close();
  }

  /** Breaks off. */
  abort(): void {
    this.#closing = true;
    this.#conn.abort();
  }
}

const NOBODY: MqttClientHandler = { packet() {}, turn() {}, drained() {}, closed() {} };

/** Resolves when the server has accepted the client; rejects with a ConnectFault or an MqttFault. */
export async function connectMqtt(
  runtime: Runtime,
  address: Address,
  options: ConnectOptions,
): Promise<MqttClientConnection> {
  let connection: MqttClientConnection | null = null;
  await runtime.connect(address, (conn) => connection = new MqttClientConnection(conn, options));
  await connection!.opened.promise;
  return connection!;
}
