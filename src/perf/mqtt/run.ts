// One run of `perf mqtt`: connects, subscribes, measures, drains, closes. What its figures mean stands in ../run.ts: with
// QoS 1 and 2 a message counts as published when its handshake is done, with QoS 0 when it was handed to the kernel.

import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers";
import { connectMqtt, type MqttClientConnection, type MqttFault } from "../../client/mqtt_connection.ts";
import { parseMqttUri } from "../../client/mqtt_uri.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { LatencyHistogram } from "../latency_histogram.ts";
import { latencyMsOf, type PerfResult, secondLine } from "../report.ts";
import { newRunMark } from "../stamp.ts";
import { MqttConsumer } from "./consumer.ts";
import type { MqttPerfOptions } from "./options.ts";
import { MqttPublisher } from "./publisher.ts";

/** After the interval what is under way may take this long, and a run by count may stall so long, ms. */
const DRAIN_MS_MAX = 2_000;
const STALL_MS_MAX = 10_000;
const LOOK_MS = 5;
/** Of MQTT 5: as long as a run takes, and no longer. */
const SESSION_EXPIRY_S = 3600;

export class MqttPerfRun {
  readonly #runtime: Runtime;
  readonly #options: MqttPerfOptions;
  readonly #print: (line: string) => void;
  readonly #connections: MqttClientConnection[] = [];
  readonly #publishers: MqttPublisher[] = [];
  readonly #consumers: MqttConsumer[] = [];
  readonly #runMark = newRunMark();
  readonly #stop = Promise.withResolvers<void>();
  #fault: MqttFault | null = null;

  /** `print` is called with a line each second. */
  constructor(runtime: Runtime, options: MqttPerfOptions, print: (line: string) => void) {
    this.#runtime = runtime;
    this.#options = options;
    this.#print = print;
  }

  /** Ends the interval now. */
  stop(): void {
    this.#stop.resolve();
  }

  /** Rejects with a ConnectFault, an MqttFault or an MqttUriFault. */
  async measure(): Promise<PerfResult> {
    try {
      await this.#setUp();
      const result = await this.#measure();
      if (this.#fault !== null) throw this.#fault;
      if (this.#options.persistent) await this.#endSessions();
      return result;
    } finally {
      for (const connection of this.#connections) connection.close();
    }
  }

  /** Sessions that outlive their connections would go on collecting messages: a clean start ends them. */
  async #endSessions(): Promise<void> {
    const { consumers, publishers } = this.#options;
    for (let index = 0; index < consumers; index++) await this.#connect(`c${index}`, true);
    for (let index = 0; index < publishers; index++) await this.#connect(`p${index}`, true);
  }

  readonly #failed = (fault: MqttFault): void => {
    this.#fault ??= fault;
    this.#stop.resolve();
  };

  async #connect(name: string, cleanStart = !this.#options.persistent): Promise<MqttClientConnection> {
    const { uri, version, persistent } = this.#options;
    const { host, port, user, password } = parseMqttUri(uri);
    const clientId = `perf-${this.#runMark.toString(36)}-${name}`;
    const properties = persistent && !cleanStart ? { sessionExpiry: SESSION_EXPIRY_S } : {};
    const options = { version, clientId, cleanStart, keepAlive: 0, userName: user, password, properties };
    const connection = await connectMqtt(this.#runtime, { host, port }, options);
    this.#connections.push(connection);
    return connection;
  }

  async #setUp(): Promise<void> {
    const { version, consumers, publishers, topic, topicEach, consumerQos, qos, retain, size } = this.#options;
    const filter = topicEach ? `${topic}/+` : topic;
    for (let index = 0; index < consumers; index++) {
      const subscription = { version, filter, qos: consumerQos, runMark: this.#runMark };
      this.#consumers.push(new MqttConsumer(await this.#connect(`c${index}`), subscription, this.#failed));
    }
    await Promise.all(this.#consumers.map(({ subscribed }) => subscribed.promise));
    const { rate, count, inFlight } = this.#options;
    for (let index = 0; index < publishers; index++) {
      const own = topicEach ? `${topic}/${index}` : topic;
      const message = { version, qos, retain, topic: own, size, runMark: this.#runMark };
      const limits = {
        countMax: count ?? Infinity,
        inFlightMax: inFlight,
        ratePerMs: rate === null ? Infinity : rate / 1000 / publishers,
        publishers,
        phase: index / publishers,
      };
      this.#publishers.push(new MqttPublisher(await this.#connect(`p${index}`), message, limits, this.#failed));
    }
  }

  async #measure(): Promise<PerfResult> {
    const startedMs = performance.now();
    const seconds = this.#printSeconds();
    const ticks = this.#startPublishers(startedMs);
    await this.#intervalEnd();
    const endedMs = performance.now();
    const [published, consumed] = [this.#published(), this.#consumed()];
    clearInterval(seconds);
    clearInterval(ticks);
    for (const publisher of this.#publishers) publisher.stop();
    await this.#drain();
    const latency = new LatencyHistogram();
    for (const consumer of this.#consumers) latency.add(consumer.latency);
    const elapsedMs = endedMs - startedMs;
    return {
      publishedPerSecond: perSecond(published, elapsedMs),
      consumedPerSecond: perSecond(consumed, elapsedMs),
      published: this.#published(),
      consumed: this.#consumed(),
      elapsedMs: Math.round(elapsedMs),
      latencyMs: latencyMsOf(latency),
    };
  }

  #startPublishers(nowMs: number): ReturnType<typeof setInterval> | undefined {
    for (const publisher of this.#publishers) publisher.start(nowMs);
    const { rate } = this.#options;
    if (rate === null) return undefined;
    return setInterval(() => {
      for (const publisher of this.#publishers) publisher.tick();
    }, Math.min(100, Math.max(1, Math.floor(1000 / rate))));
  }

  #printSeconds(): ReturnType<typeof setInterval> {
    let [second, published, consumed, beforeMs] = [0, 0, 0, performance.now()];
    return setInterval(() => {
      const nowMs = performance.now();
      const [publishedNow, consumedNow, ms] = [this.#published(), this.#consumed(), nowMs - beforeMs];
      this.#print(secondLine(++second, perSecond(publishedNow - published, ms), perSecond(consumedNow - consumed, ms)));
      [published, consumed, beforeMs] = [publishedNow, consumedNow, nowMs];
    }, 1000);
  }

  async #intervalEnd(): Promise<void> {
    const { durationS, count } = this.#options;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let looks: ReturnType<typeof setInterval> | undefined;
    const ends: Promise<void>[] = [this.#stop.promise];
    if (durationS !== null) ends.push(new Promise((resolve) => timer = setTimeout(resolve, durationS * 1000)));
    if (count !== null) {
      let [seen, sinceMs] = [-1, performance.now()];
      ends.push(
        new Promise((resolve) => {
          looks = setInterval(() => {
            const now = this.#consumed() + this.#published();
            if (now !== seen) [seen, sinceMs] = [now, performance.now()];
            if (this.#settled() || performance.now() - sinceMs > STALL_MS_MAX) resolve();
          }, LOOK_MS);
        }),
      );
    }
    await Promise.race(ends);
    clearTimeout(timer);
    clearInterval(looks);
  }

  /** All that was to be sent is sent and has come to every consumer. */
  #settled(): boolean {
    const expected = this.#published() * this.#consumers.length;
    return this.#publishers.every(({ finished }) => finished) && this.#consumed() >= expected;
  }

  async #drain(): Promise<void> {
    const deadlineMs = performance.now() + DRAIN_MS_MAX;
    const expected = () => this.#published() * this.#consumers.length;
    const settled = () => this.#publishers.every((each) => each.settled) && this.#consumed() >= expected();
    while (this.#fault === null && performance.now() < deadlineMs && !settled()) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  #published(): number {
    return this.#publishers.reduce((sum, { published }) => sum + published, 0);
  }

  #consumed(): number {
    return this.#consumers.reduce((sum, { consumed }) => sum + consumed, 0);
  }
}

function perSecond(count: number, ms: number): number {
  return ms > 0 ? Math.round(count * 1000 / ms) : 0;
}
