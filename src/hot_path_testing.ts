// Runs messages through a broker in this process, without sockets: what a message costs, generator included. For the
// bench of the hot path and the test that guards its allocations. Not part of the product.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Broker } from "./broker.ts";
import { MqttPerfRun } from "./perf/mqtt/run.ts";
import { mqttOptionsOf } from "./perf/mqtt/options.ts";
import { optionsOf } from "./perf/options.ts";
import type { PerfResult } from "./perf/report.ts";
import { PerfRun } from "./perf/run.ts";
import { currentRuntime } from "./runtime/current.ts";
import { LoopbackRuntime } from "./runtime/loopback.ts";

/** Of one direction of a connection: about what a socket's chunk brings. */
const CHUNK_BYTES = 256 * 1024;
const NOTHING = () => {};

export interface Path {
  readonly name: string;
  /** Bytes that a message may cost, with room for what a run costs once and for the granularity of the count. */
  readonly bytesMax: number;
  run(runtime: LoopbackRuntime, ports: { amqp: number; mqtt: number }, count: number): Promise<PerfResult>;
}

export interface Cost {
  readonly ns: number;
  /** Of the heap, garbage included; null where the engine does not tell. */
  readonly bytes: number | null;
}

const AMQP = {
  publishers: 1,
  consumers: 1,
  size: 16,
  prefetch: 0,
  confirm: 0,
  queue: "hot",
  queues: 1,
  exchange: "",
  exchangeType: "direct",
  declare: true,
  persistent: true,
};
const MQTT = {
  protocol: 4,
  publishers: 1,
  consumers: 1,
  size: 16,
  inflight: 1000,
  topic: "hot",
  connections: 0,
};

export const PATHS: readonly Path[] = [
  amqp("consumed without acknowledgements", 32, { autoack: true }),
  amqp("the same, 1 KiB", 310, { autoack: true, size: 1024 }),
  amqp("consumed without acknowledgements, confirmed", 36, { autoack: true, confirm: 1000 }),
  amqp("acknowledged one by one", 36, { prefetch: 1000 }),
  amqp("acknowledged one by one, confirmed", 40, { prefetch: 1000, confirm: 1000 }),
  amqp("through 100 queues", 96, { autoack: true, queues: 100 }),
  amqp("published to a queue nobody consumes from", 20, { consumers: 0 }),
  mqtt("MQTT, QoS 0", 40, { qos: 0 }),
  mqtt("MQTT, QoS 1", 64, { qos: 1 }),
];

/** What a message costs: of `count` more messages, after as many that nobody measures, so that a run's own cost is out. */
export async function measurePath(path: Path, count: number): Promise<Cost> {
  const directory = mkdtempSync(join(tmpdir(), "leveret-hot-path-"));
  const real = await currentRuntime();
  const runtime = new LoopbackRuntime({ kernelBytes: CHUNK_BYTES, files: real.mappedFiles() ?? real.plainFiles() });
  const broker = new Broker({ dataDir: directory, amqp: { port: 0 }, mqtt: { port: 0 } }, {}, runtime);
  try {
    await broker.start();
    const portOf = (protocol: string) => broker.listeners.find((each) => each.protocol === protocol)!.port;
    const ports = { amqp: portOf("amqp"), mqtt: portOf("mqtt") };
    const run = (messages: number) => path.run(runtime, ports, messages);
    const few = Math.ceil(count / 4);
    await run(count);
    const short = await costOf(() => run(few));
    const long = await costOf(() => run(count + few));
    return {
      ns: (long.ns - short.ns) / count,
      bytes: long.bytes === null || short.bytes === null ? null : (long.bytes - short.bytes) / count,
    };
  } finally {
    await broker.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const meter = new AllocationMeter();
  const beganMs = performance.now();
  await work();
  const ns = (performance.now() - beganMs) * 1e6;
  return { ns, bytes: meter.stop() };
}

/** Adds up by how much the heap grows from one round of the loop to the next, so that a collection in between hides little. */
class AllocationMeter {
  #bytes = 0;
  #last = heapBytes();
  #stopped = false;

  constructor() {
    const look = () => {
      if (this.#stopped) return;
      this.#add();
      setImmediate(look);
    };
    setImmediate(look);
  }

  /** Bytes since the beginning; null when the engine does not count allocations as they happen. */
  stop(): number | null {
    this.#stopped = true;
    this.#add();
    return countsAllocations() ? this.#bytes : null;
  }

  #add(): void {
    const now = heapBytes();
    if (now > this.#last) this.#bytes += now - this.#last;
    this.#last = now;
  }
}

function heapBytes(): number {
  return process.memoryUsage().heapUsed;
}

/** Whether the engine counts allocations as they happen. */
export function countsAllocations(): boolean {
  const before = heapBytes();
  const kept: object[] = [];
  for (let i = 0; i < 1000; i++) kept.push({ i });
  return heapBytes() - before >= 16 * kept.length;
}

function amqp(name: string, bytesMax: number, flags: object): Path {
  return {
    name,
    bytesMax,
    run: (runtime, ports, count) => {
      const uri = `amqp://guest:guest@127.0.0.1:${ports.amqp}`;
      return new PerfRun(runtime, optionsOf({ ...AMQP, uri, count, ...flags }), NOTHING).measure();
    },
  };
}

function mqtt(name: string, bytesMax: number, flags: object): Path {
  return {
    name,
    bytesMax,
    run: (runtime, ports, count) => {
      const uri = `mqtt://guest:guest@127.0.0.1:${ports.mqtt}`;
      return new MqttPerfRun(runtime, mqttOptionsOf({ ...MQTT, uri, count, ...flags } as never), NOTHING).measure();
    },
  };
}
