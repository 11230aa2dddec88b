// The topics under $SYS, named as Mosquitto names them: what the broker says of itself, now and then, to whoever has
// subscribed to them. They are in no exchange, and no wildcard at a filter's beginning matches them.

import { MESSAGE_RETAINED } from "./message_flags.ts";
import type { MqttConnection } from "./connection.ts";
import type { MqttHost } from "./host.ts";
import { Publication } from "./publication.ts";
import { type Matched, patternMatches } from "./subscriptions.ts";
import type { TopicMapping } from "./topics.ts";
import type { Traffic } from "./traffic.ts";

const MINUTE_MS = 60_000;
/** Averages over so many minutes. */
const SPANS = [1, 5, 15] as const;

type Counter =
  | "bytesReceived"
  | "bytesSent"
  | "packetsReceived"
  | "packetsSent"
  | "publishReceived"
  | "publishSent"
  | "publishDropped"
  | "accepted";

/** Counters whose rate is told, by the name of their rate. */
const LOADS: readonly (readonly [name: string, counter: Counter])[] = [
  ["bytes/received", "bytesReceived"],
  ["bytes/sent", "bytesSent"],
  ["messages/received", "packetsReceived"],
  ["messages/sent", "packetsSent"],
  ["publish/received", "publishReceived"],
  ["publish/sent", "publishSent"],
  ["publish/dropped", "publishDropped"],
  ["sockets", "accepted"],
  ["connections", "accepted"],
];

export interface SystemTopicsOptions {
  hosts(): Iterable<MqttHost>;
  readonly traffic: Traffic;
  readonly mapping: TopicMapping;
  /** `leveret version 0.1.0` */
  readonly version: string;
  /** 0: never by itself. */
  readonly intervalMs: number;
}

export class SystemTopics {
  readonly #options: SystemTopicsOptions;
  readonly #publication: Publication;
  readonly #startedMs = performance.now();
  /** What was told last, by topic. */
  #values = new Map<string, string>();
  /** Per minute, by name and span. */
  readonly #loads = new Map<string, number>();
  #lastMs = this.#startedMs;
  readonly #lastCounts: number[] = LOADS.map(() => 0);
  #timer: ReturnType<typeof setInterval> | null = null;

  constructor(options: SystemTopicsOptions) {
    this.#options = options;
    this.#publication = new Publication(options.mapping);
    if (options.intervalMs === 0) return;
    this.#timer = setInterval(() => this.tell(), options.intervalMs);
    this.#timer.unref();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Publishes what has changed since the last time. */
  tell(): void {
    const before = this.#values;
    this.#values = this.#measure();
    const changed = [...this.#values].filter(([topic, value]) => before.get(topic) !== value);
    for (const { systemSubscribers } of this.#options.hosts()) {
      for (const { connection, system } of systemSubscribers) {
        if (connection === null || system === null) continue;
        for (const [filter, options] of system) {
          const ids = options.id === 0 ? null : [options.id];
          const matched = { qos: options.qos, retainAsPublished: options.retainAsPublished, ids };
          this.#send(connection, this.#options.mapping.patternOf(filter), matched, changed, 0);
        }
        connection.services.turn.schedule();
      }
    }
  }

  /** A new subscription gets all there is, as retained messages. */
  replay(connection: MqttConnection, pattern: string, matched: Matched): void {
    if (this.#values.size === 0) this.#values = this.#measure();
    this.#send(connection, pattern, matched, [...this.#values], MESSAGE_RETAINED);
  }

  #send(
    connection: MqttConnection,
    pattern: string,
    matched: Matched,
    values: readonly (readonly [topic: string, value: string])[],
    flags: number,
  ): void {
    for (const [topic, value] of values) {
      if (!patternMatches(pattern, this.#options.mapping.keyOf(topic).split("."))) continue;
      if (!connection.writable()) return;
      this.#publication.setTopicText(topic);
      const payload = new TextEncoder().encode(value);
      const message = this.#publication.fill(0, true, null, payload, 0, payload.length, 0);
      message.flags |= flags;
      connection.outgoing?.send(message, matched);
    }
  }

  #measure(): Map<string, string> {
    const { hosts, traffic, version } = this.#options;
    const values = new Map<string, string>();
    const set = (name: string, value: number | string) => values.set(`$SYS/broker/${name}`, String(value));
    let [sessions, connected, subscriptions, shares, retained, retainedBytes] = [0, 0, 0, 0, 0, 0];
    let [stored, storedBytes] = [0, 0];
    for (const host of hosts()) {
      sessions += host.sessions.size;
      for (const { connection, queue } of host.sessions.values()) {
        if (connection !== null) connected++;
        stored += queue?.store.readyCount ?? 0;
        storedBytes += queue?.store.readyBytes ?? 0;
      }
      subscriptions += host.subscriptionCount;
      shares += host.shares.count;
      retained += host.retained.count;
      retainedBytes += host.retained.bytes;
    }
    set("version", version);
    set("uptime", `${Math.floor((performance.now() - this.#startedMs) / 1000)} seconds`);
    set("clients/total", sessions);
    set("clients/connected", connected);
    set("clients/active", connected);
    set("clients/disconnected", sessions - connected);
    set("clients/inactive", sessions - connected);
    set("clients/maximum", traffic.connectionsMax);
    set("clients/expired", traffic.sessionsExpired);
    set("subscriptions/count", subscriptions);
    set("shared_subscriptions/count", shares);
    set("retained messages/count", retained);
    set("messages/stored", stored + retained);
    set("store/messages/count", stored + retained);
    set("store/messages/bytes", storedBytes + retainedBytes);
    set("messages/received", traffic.packetsReceived);
    set("messages/sent", traffic.packetsSent);
    set("publish/messages/received", traffic.publishReceived);
    set("publish/messages/sent", traffic.publishSent);
    set("publish/messages/dropped", traffic.publishDropped);
    set("publish/bytes/received", traffic.publishBytesReceived);
    set("publish/bytes/sent", traffic.publishBytesSent);
    set("bytes/received", traffic.bytesReceived);
    set("bytes/sent", traffic.bytesSent);
    this.#measureLoads(traffic, set);
    return values;
  }

  #measureLoads(traffic: Traffic, set: (name: string, value: string) => void): void {
    const nowMs = performance.now();
    const elapsedMs = Math.max(1, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    for (const [index, [name, counter]] of LOADS.entries()) {
      const count = traffic[counter];
      const perMinute = (count - this.#lastCounts[index]!) * MINUTE_MS / elapsedMs;
      this.#lastCounts[index] = count;
      for (const minutes of SPANS) {
        const topic = `load/${name}/${minutes}min`;
        const kept = Math.exp(-elapsedMs / (minutes * MINUTE_MS));
        const load = (this.#loads.get(topic) ?? 0) * kept + perMinute * (1 - kept);
        this.#loads.set(topic, load);
        set(topic, load.toFixed(2));
      }
    }
  }
}
