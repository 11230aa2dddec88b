// One consumer: a subscribed connection whose deliveries it counts, measures and acknowledges.

import type { MqttClientConnection, MqttClientHandler, MqttFault } from "../../client/mqtt_connection.ts";
import { writeAck, writeSubscribe } from "../../wire/mqtt_encode.ts";
import {
  type MqttVersion,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  type Qos,
  SUBACK,
} from "../../wire/mqtt_packet.ts";
import { LatencyHistogram } from "../latency_histogram.ts";
import { clockUs, STAMP_BYTES } from "../stamp.ts";

/** A stamp that lies further ahead than this is later than the clock of the turn: the message took no time. */
const LATENCY_US_MAX = 0x8000_0000;

export class MqttConsumer implements MqttClientHandler {
  consumed = 0;
  /** When the last turn that brought messages was, ms on the monotonic clock. */
  lastMs = 0;
  readonly latency = new LatencyHistogram();
  readonly subscribed = Promise.withResolvers<void>();
  readonly #connection: MqttClientConnection;
  readonly #version: MqttVersion;
  readonly #runMark: number;
  readonly #failed: (fault: MqttFault) => void;
  #clock = 0;
  #active = false;

  constructor(
    connection: MqttClientConnection,
    subscription: { version: MqttVersion; filter: string; qos: Qos; runMark: number },
    failed: (fault: MqttFault) => void,
  ) {
    this.#connection = connection;
    this.#version = subscription.version;
    this.#runMark = subscription.runMark;
    this.#failed = failed;
    this.subscribed.promise.catch(() => {});
    connection.handler = this;
    writeSubscribe(connection.out, subscription.version, 1, subscription.filter, subscription.qos);
    connection.flush();
  }

  /** Hot. */
  packet(first: number, bytes: Uint8Array, at: number, size: number): void {
    const type = first >>> 4;
    if (type === PUBLISH) return this.#deliver(first, bytes, at, size);
    if (type === PUBREL) {
      writeAck(this.#connection.out, this.#version, PUBCOMP, bytes[at]! << 8 | bytes[at + 1]!, 0);
    }
    if (type === SUBACK) this.subscribed.resolve();
  }

  /** Hot. */
  #deliver(first: number, bytes: Uint8Array, at: number, size: number): void {
    const end = at + size;
    at += 2 + (bytes[at]! << 8 | bytes[at + 1]!);
    const qos = first >>> 1 & 3;
    if (qos > 0) {
      const id = bytes[at]! << 8 | bytes[at + 1]!;
      writeAck(this.#connection.out, this.#version, qos === 1 ? PUBACK : PUBREC, id, 0);
      at += 2;
    }
    if (this.#version === 5) at = behindProperties(bytes, at);
    if (!this.#active) this.#begin();
    this.consumed++;
    if (end - at < STAMP_BYTES || readLong(bytes, at) !== this.#runMark) return;
    const latency = (this.#clock - readLong(bytes, at + 4)) >>> 0;
    this.latency.record(latency < LATENCY_US_MAX ? latency : 0);
  }

  #begin(): void {
    this.#active = true;
    this.#clock = clockUs();
    this.lastMs = performance.now();
  }

  turn(): void {
    this.#active = false;
  }

  drained(): void {}

  closed(fault: MqttFault | null): void {
    if (fault === null) return;
    this.subscribed.reject(fault);
    this.#failed(fault);
  }
}

function behindProperties(bytes: Uint8Array, at: number): number {
  let length = 0;
  for (let shift = 0;; shift += 7) {
    const octet = bytes[at++]!;
    length |= (octet & 0x7f) << shift;
    if (octet < 0x80) return at + length;
  }
}

function readLong(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24 | bytes[at + 1]! << 16 | bytes[at + 2]! << 8 | bytes[at + 3]!) >>> 0;
}
