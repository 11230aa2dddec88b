// One publisher: sends as much as its limits allow, in batches, and settles the handshakes of QoS 1 and 2.

import { setImmediate } from "node:timers";
import type { MqttClientConnection, MqttClientHandler, MqttFault } from "../../client/mqtt_connection.ts";
import { BufferPool, OutBuffer } from "../../lib/out_buffer.ts";
import { publishFlags, writeAck, writePublish } from "../../wire/mqtt_encode.ts";
import { type MqttVersion, PUBACK, PUBCOMP, PUBREC, PUBREL, type Qos } from "../../wire/mqtt_packet.ts";
import { type Batches, batchesOf, dueOf } from "../batches.ts";
import { clockUs, STAMP_BYTES } from "../stamp.ts";

const IDS = 65_535;

export interface MqttPublisherLimits {
  readonly countMax: number;
  readonly inFlightMax: number;
  /** Messages per ms; Infinity for as fast as it goes. */
  readonly ratePerMs: number;
  /** Publishers in this process. */
  readonly publishers: number;
  readonly phase: number;
}

export class MqttPublisher implements MqttClientHandler {
  /** Acknowledged, or with QoS 0 handed over for sending. */
  published = 0;
  #sent = 0;
  readonly #connection: MqttClientConnection;
  readonly #version: MqttVersion;
  readonly #qos: Qos;
  readonly #limits: MqttPublisherLimits;
  readonly #batches: Batches;
  readonly #failed: (fault: MqttFault) => void;
  /** A whole packet; identifier and stamp are filled in. */
  readonly #packet: Uint8Array;
  readonly #idAt: number;
  readonly #stampAt: number;
  #running = false;
  #scheduled = false;
  #startedMs = 0;

  constructor(
    connection: MqttClientConnection,
    message: { version: MqttVersion; qos: Qos; retain: boolean; topic: string; size: number; runMark: number },
    limits: MqttPublisherLimits,
    failed: (fault: MqttFault) => void,
  ) {
    const { version, qos, retain, size, runMark } = message;
    this.#connection = connection;
    this.#version = version;
    this.#qos = qos;
    this.#limits = limits;
    this.#batches = batchesOf(limits.publishers);
    this.#failed = failed;
    const topic = new TextEncoder().encode(message.topic);
    const payload = new Uint8Array(size);
    if (size >= STAMP_BYTES) new DataView(payload.buffer).setUint32(0, runMark);
    const out = new OutBuffer(new BufferPool());
    writePublish(out, version, publishFlags(qos, retain, false), topic, 0, payload);
    this.#packet = out.bytes.slice(out.start, out.end);
    this.#stampAt = size >= STAMP_BYTES ? this.#packet.length - size + 4 : -1;
    this.#idAt = this.#packet.length - size - (version === 5 ? 1 : 0) - 2;
    connection.handler = this;
  }

  get finished(): boolean {
    return this.#sent >= this.#limits.countMax && this.settled;
  }

  get settled(): boolean {
    return this.#connection.pending === 0 && this.published === this.#sent;
  }

  start(nowMs: number): void {
    this.#running = true;
    this.#startedMs = nowMs;
    this.#schedule();
  }

  stop(): void {
    this.#running = false;
  }

  /** With a rate: a tick of the clock. */
  tick(): void {
    this.#publish();
  }

  /** Hot. */
  packet(first: number, bytes: Uint8Array, at: number): void {
    const type = first >>> 4;
    if (type === PUBACK || type === PUBCOMP) this.published++;
    if (type === PUBREC) {
      const id = bytes[at]! << 8 | bytes[at + 1]!;
      writeAck(this.#connection.out, this.#version, PUBREL, id, 0);
    }
  }

  turn(): void {
    if (this.#qos > 0) this.#publish();
  }

  drained(): void {
    this.#schedule();
  }

  closed(fault: MqttFault | null): void {
    this.#running = false;
    if (fault !== null) this.#failed(fault);
  }

  #schedule(): void {
    if (this.#scheduled || !this.#running) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#publish();
    });
  }

  /** Hot. */
  #publish(): void {
    if (!this.#running) return;
    const connection = this.#connection;
    const { bytes, perTurn } = this.#batches;
    const perBatch = Math.max(1, Math.floor(bytes / this.#packet.length));
    // What becomes due meanwhile is for the next tick.
    const due = dueOf(this.#limits, this.#startedMs);
    for (let batch = 0; batch < perTurn; batch++) {
      if (connection.pending > connection.out.length) return;
      const count = Math.min(perBatch, this.#allowed(due));
      if (count <= 0) return;
      this.#write(count);
      connection.flush();
      if (connection.pending > 0) return;
    }
    this.#schedule();
  }

  /** Hot. */
  #write(count: number): void {
    const packet = this.#packet;
    const { out } = this.#connection;
    if (this.#stampAt >= 0) putLong(packet, this.#stampAt, clockUs());
    for (let index = 0; index < count; index++) {
      if (this.#qos > 0) {
        const id = this.#sent % IDS + 1;
        packet[this.#idAt] = id >>> 8;
        packet[this.#idAt + 1] = id;
      }
      out.append(packet);
      this.#sent++;
    }
    if (this.#qos === 0) this.published += count;
  }

  #allowed(due: number): number {
    const count = Math.min(due, this.#limits.countMax) - this.#sent;
    return this.#qos === 0 ? count : Math.min(count, this.#limits.inFlightMax - (this.#sent - this.published));
  }
}

function putLong(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
