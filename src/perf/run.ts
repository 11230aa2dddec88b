// One run of `perf amqp`: connects, declares, measures, drains, closes.
//
// What the figures mean. A run begins when every publisher and consumer is set up (one without publishers: when its
// consumers are about to subscribe; with a warm-up: when that is over), and ends with its duration, with an interruption, or, by count, when the last
// message has been published and consumed. Rates are over that interval only: what had been published (with confirms:
// confirmed) and consumed when it ended, by its length; by count each side by its own time, up to its last message. The
// totals also hold what followed while the run drained. Without confirms a message counts as published when it was
// handed to the kernel or waits for it: some 64 KiB per publisher, and what stands in the socket's buffers, are ahead
// of the broker.

import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers";
import type { AmqpChannel } from "../client/amqp_channel.ts";
import { type AmqpConnection, connectAmqp } from "../client/amqp_connection.ts";
import type { AmqpFault } from "../client/amqp_fault.ts";
import { parseAmqpUri } from "../client/amqp_uri.ts";
import type { Runtime } from "../runtime/runtime.ts";
import {
  type BasicConsumeOk,
  type BasicQosOk,
  type ConfirmSelectOk,
  METHOD_BASIC_CONSUME_OK,
  METHOD_BASIC_QOS_OK,
  METHOD_CONFIRM_SELECT_OK,
  writeBasicConsume,
  writeBasicQos,
  writeConfirmSelect,
} from "../wire/amqp_methods.ts";
import { tableOf } from "../wire/amqp_table.ts";
import { Consumer } from "./consumer.ts";
import { LatencyHistogram } from "./latency_histogram.ts";
import { type PerfOptions, shareOf } from "./options.ts";
import { PublishRing } from "./publish_ring.ts";
import { Publisher } from "./publisher.ts";
import { latencyMsOf, type PerfResult, secondLine } from "./report.ts";
import { newRunMark } from "./stamp.ts";
import { declareTopology, deleteQueues } from "./topology.ts";

/** After a run by duration, consumers and confirms may take this long, ms. */
const DRAIN_MS_MAX = 2_000;
/** A run by count ends without its last messages when for so long none came, ms. */
const STALL_MS_MAX = 10_000;
/** How often it is looked whether a run by count is done, or everything drained, ms. */
const LOOK_MS = 5;
const PRODUCT = "leveret perf";

export class PerfRun {
  readonly #runtime: Runtime;
  readonly #options: PerfOptions;
  readonly #print: (line: string) => void;
  readonly #connections: AmqpConnection[] = [];
  readonly #publishers: Publisher[] = [];
  readonly #consumers: Consumer[] = [];
  readonly #consumerConnections: AmqpConnection[] = [];
  readonly #consumerChannels: AmqpChannel[] = [];
  readonly #runMark = newRunMark();
  readonly #failure = Promise.withResolvers<never>();
  readonly #stop = Promise.withResolvers<void>();
  #failed = false;

  /** `print` is called with a line each second. */
  constructor(runtime: Runtime, options: PerfOptions, print: (line: string) => void) {
    this.#runtime = runtime;
    this.#options = options;
    this.#print = print;
    this.#failure.promise.catch(() => {});
  }

  /** Ends the measured interval: what SIGINT does. */
  stop(): void {
    this.#stop.resolve();
  }

  /** Rejects with an AmqpUriFault, ConnectFault or AmqpFault. */
  async measure(): Promise<PerfResult> {
    try {
      const control = await this.#connect();
      const created = await declareTopology(control, this.#options);
      const { consumers, publishers } = this.#options;
      for (let index = 0; index < consumers; index++) await this.#addConsumer();
      for (let index = 0; index < publishers; index++) await this.#addPublisher(index);
      const result = await Promise.race([this.#measure(), this.#failure.promise]);
      for (const consumer of this.#consumers) consumer.ackRest();
      for (const connection of this.#consumerConnections) connection.flush();
      await Promise.all(this.#connections.filter((connection) => connection !== control).map((each) => each.close()));
      if (consumers > 0 && !this.#options.keepQueue) await deleteQueues(control, created);
      return result;
    } finally {
      await Promise.all(this.#connections.map((connection) => connection.close()));
    }
  }

  async #connect(): Promise<AmqpConnection> {
    const connection = await connectAmqp(this.#runtime, parseAmqpUri(this.#options.uri), PRODUCT);
    this.#connections.push(connection);
    return connection;
  }

  async #addConsumer(): Promise<void> {
    const { prefetch, ackEvery } = this.#options;
    const connection = await this.#connect();
    const channel = await connection.openChannel();
    this.#consumers.push(new Consumer(connection, channel, ackEvery, this.#runMark, (fault) => this.#fail(fault)));
    this.#consumerConnections.push(connection);
    this.#consumerChannels.push(channel);
    if (prefetch > 0) {
      await channel.call<BasicQosOk>(
        METHOD_BASIC_QOS_OK,
        (out, number) => writeBasicQos(out, number, { prefetchSize: 0, prefetchCount: prefetch, global: false }),
      );
    }
  }

  async #subscribe(channel: AmqpChannel, index: number): Promise<void> {
    const { ackEvery, queues, consumers } = this.#options;
    for (const queue of shareOf(queues, index, consumers)) {
      await channel.call<BasicConsumeOk>(METHOD_BASIC_CONSUME_OK, (out, number) =>
        writeBasicConsume(out, number, {
          queue,
          consumerTag: "",
          noLocal: false,
          noAck: ackEvery === 0,
          exclusive: false,
          noWait: false,
          arguments: tableOf({}),
        }));
    }
  }

  async #addPublisher(index: number): Promise<void> {
    const { queues, publishers, exchange, routingKey, size, persistent, confirm, count, rate } = this.#options;
    const connection = await this.#connect();
    const channel = await connection.openChannel();
    const routes = shareOf(queues, index, publishers).map((queue) => ({ exchange, routingKey: routingKey ?? queue }));
    const ring = new PublishRing({
      channel: channel.number,
      routes,
      bodyBytes: size,
      properties: persistent ? { deliveryMode: 2 } : {},
      frameBytesMax: connection.frameBytesMax,
      runMark: this.#runMark,
    });
    const limits = {
      countMax: count ?? Infinity,
      confirmMax: confirm,
      ratePerMs: rate === null ? Infinity : rate / publishers / 1000,
      publishers,
      phase: index / publishers,
    };
    if (confirm > 0) {
      await channel.call<ConfirmSelectOk>(
        METHOD_CONFIRM_SELECT_OK,
        (out, number) => writeConfirmSelect(out, number, { noWait: false }),
      );
    }
    this.#publishers.push(new Publisher(connection, channel, ring, limits, (fault) => this.#fail(fault)));
  }

  async #measure(): Promise<PerfResult> {
    const connectedMs = performance.now();
    await Promise.all(this.#consumerChannels.map((channel, index) => this.#subscribe(channel, index)));
    // What lay in the queues is work to be measured when nothing is published, and otherwise not.
    const draining = this.#publishers.length === 0;
    const consumedBefore = draining ? 0 : this.#consumed();
    let startedMs = draining ? connectedMs : performance.now();
    const seconds = this.#printSeconds();
    const ticks = this.#startPublishers(startedMs);
    let [publishedAtFirst, consumedAtFirst] = [0, consumedBefore];
    if (this.#options.warmUpS > 0) {
      await this.#warmUp();
      startedMs = performance.now();
      [publishedAtFirst, consumedAtFirst] = [this.#published(), this.#consumed()];
    }
    const publishedByMs = await this.#intervalEnd(consumedBefore);
    clearInterval(ticks);
    clearInterval(seconds);
    for (const publisher of this.#publishers) publisher.stop();
    const endedMs = performance.now();
    const consumedByMs = publishedByMs === null
      ? endedMs
      : Math.max(startedMs, ...this.#consumers.map((c) => c.lastMs));
    const publishMs = (publishedByMs ?? endedMs) - startedMs;
    const consumeMs = consumedByMs - startedMs;
    const published = this.#published() - publishedAtFirst;
    const consumed = this.#consumed() - consumedAtFirst;
    if (publishedByMs === null) await this.#drain(consumedBefore);
    const rejected = this.#publishers.reduce((sum, publisher) => sum + publisher.rejected, 0);
    if (rejected > 0) this.#print(`${rejected} messages were refused by the broker (basic.nack) and are not counted`);
    const latency = new LatencyHistogram();
    for (const consumer of this.#consumers) latency.add(consumer.latency);
    return {
      publishedPerSecond: perSecond(published, publishMs),
      consumedPerSecond: perSecond(consumed, consumeMs),
      published: this.#published(),
      consumed: this.#consumed() - consumedBefore,
      elapsedMs: Math.round(publishedByMs === null ? endedMs - startedMs : Math.max(publishMs, consumeMs)),
      latencyMs: latencyMsOf(latency),
    };
  }

  /** Both sides compile what is hot and fill their buffers; nothing of it counts. */
  async #warmUp(): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const over = new Promise<void>((resolve) => timer = setTimeout(resolve, this.#options.warmUpS * 1000));
    await Promise.race([over, this.#stop.promise]);
    clearTimeout(timer);
    for (const consumer of this.#consumers) consumer.latency.clear();
  }

  #startPublishers(nowMs: number): ReturnType<typeof setInterval> | undefined {
    for (const publisher of this.#publishers) publisher.start(nowMs);
    const { rate, publishers } = this.#options;
    if (rate === null || publishers === 0) return undefined;
    const tickMs = Math.min(100, Math.max(1, Math.floor(1000 / rate)));
    return setInterval(() => {
      for (const publisher of this.#publishers) publisher.tick();
    }, tickMs);
  }

  #printSeconds(): ReturnType<typeof setInterval> {
    let second = 0;
    let beforeMs = performance.now();
    let published = 0;
    let consumed = this.#consumed();
    return setInterval(() => {
      const nowMs = performance.now();
      const publishedNow = this.#published();
      const consumedNow = this.#consumed();
      const ms = nowMs - beforeMs;
      this.#print(secondLine(++second, perSecond(publishedNow - published, ms), perSecond(consumedNow - consumed, ms)));
      beforeMs = nowMs;
      published = publishedNow;
      consumed = consumedNow;
    }, 1000);
  }

  /** Waits for the end of the interval. When the count ended it: the time the last message was published, else null. */
  async #intervalEnd(consumedBefore: number): Promise<number | null> {
    const { durationS, count } = this.#options;
    let publishedByMs: number | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let looks: ReturnType<typeof setInterval> | undefined;
    const ends: Promise<number | null>[] = [this.#stop.promise.then(() => null)];
    if (durationS !== null) {
      ends.push(new Promise((resolve) => timer = setTimeout(() => resolve(null), durationS * 1000)));
    }
    if (count !== null) {
      const stalled = this.#stallWatch();
      ends.push(
        new Promise((resolve) => {
          looks = setInterval(() => {
            if (!this.#publishers.every((publisher) => publisher.finished)) return;
            publishedByMs ??= performance.now();
            if (this.#allConsumed(consumedBefore) || stalled()) resolve(publishedByMs);
          }, LOOK_MS);
        }),
      );
    }
    try {
      return await Promise.race(ends);
    } finally {
      clearTimeout(timer);
      clearInterval(looks);
    }
  }

  /** After the interval: what is under way may still arrive. */
  async #drain(consumedBefore: number): Promise<void> {
    const deadlineMs = performance.now() + DRAIN_MS_MAX;
    const settled = () => this.#publishers.every((each) => each.settled) && this.#allConsumed(consumedBefore);
    while (!this.#failed && performance.now() < deadlineMs && !settled()) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  #allConsumed(consumedBefore: number): boolean {
    if (this.#consumers.length === 0) return true;
    const expected = this.#publishers.length === 0 ? this.#options.count ?? 0 : this.#published();
    return this.#consumed() - consumedBefore >= expected;
  }

  /** Tells whether nothing was consumed for STALL_MS_MAX before the call. */
  #stallWatch(): () => boolean {
    let consumed = -1;
    let sinceMs = 0;
    return () => {
      const nowMs = performance.now();
      if (this.#consumed() !== consumed) {
        consumed = this.#consumed();
        sinceMs = nowMs;
      }
      return nowMs - sinceMs > STALL_MS_MAX;
    };
  }

  /** The run is over; `#measure` ends too, so that no timer of it is left. */
  #fail(fault: AmqpFault): void {
    this.#failed = true;
    this.#failure.reject(fault);
    this.#stop.resolve();
  }

  #published(): number {
    return this.#publishers.reduce((sum, publisher) => sum + publisher.published, 0);
  }

  #consumed(): number {
    return this.#consumers.reduce((sum, consumer) => sum + consumer.consumed, 0);
  }
}

function perSecond(count: number, ms: number): number {
  return ms > 0 ? Math.round(count * 1000 / ms) : 0;
}
