// T05: the disk gets full, by the broker's own messages up to its limit, and by somebody else's file to the last byte.
// Publishers are blocked, consumers drain, nothing confirmed is lost, and all goes on by itself. Three times each.

import type { BrokerProcess } from "../support/broker_process.ts";
import { RawAmqp } from "../support/raw_amqp.ts";
import { exchange, queue } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";
import { Book, FlowConsumer, FlowPublisher } from "./flow.ts";
import { buildMutant, type Mutant } from "./mutant.ts";
import { Releases } from "./releases.ts";
import { SmallDisk } from "./small_disk.ts";

const MIB = 1024 * 1024;
const DISK_BYTES = 256 * MIB;
/** The broker's default. */
const LIMIT_BYTES = 50 * MIB;
/** One segment that is being made when the limit is met, and one by the thread that prepares them. */
const OVERSHOT_BYTES_MAX = 2 * 8 * MIB + MIB;
const BALLAST_BYTES = 60 * MIB;
const ROUNDS = { full: 10, short: 3 };
const BINDINGS = 200;
const SIDE_QUEUES: readonly string[] = Array.from({ length: 12 }, (_, index) => `side ${index}`);
const QUEUES: readonly string[] = ["flow", "backlog", "single", ...SIDE_QUEUES];
/** Messages of 100 bytes that take up several pages. */
const SINGLES = 150;
const QUIET_MS = 400;
const SAMPLE_MS = 5;
/** What is promised, and what a short run on a busy machine is held to. */
const BLOCKED_MS = { full: 1000, short: 15_000 };
const RESUMED_MS = { full: 2000, short: 15_000 };

/** Files as long as they should be, and no block on the disk behind them. */
const SPARSE: Mutant = {
  name: "sparse-segments",
  edits: [
    {
      file: "runtime/segment_descriptor.ts",
      find: "const errno = libc === null ? -1 : libc.allocate(fd, capacity);",
      replace: "const errno = libc === null ? -1 : 0;\n    fs.ftruncateSync(fd, capacity);",
    },
    {
      file: "runtime/segment_descriptor.ts",
      find: "    fillWithZeros(fd, path, capacity);\n    fs.fdatasyncSync(fd);",
      replace: "    fs.ftruncateSync(fd, capacity);\n    fs.fdatasyncSync(fd);",
    },
    {
      file: "runtime/mapped_file.ts",
      find: "const errno = this.#libc.allocate(fd, capacity);",
      replace: "const errno = 0;",
    },
  ],
};

export const fullDisk: FaultCase = {
  name: "T05",
  title: "full disk",
  needs: ["root", "loop"],
  async run(context) {
    const limited = await untilTheLimit(context);
    const full = await untilTheLastByte(context);
    return {
      lost: limited.lost + full.lost,
      phantom: limited.phantom + full.phantom,
      counts: `${limited.counts}; ${full.counts}`,
      failures: [...limited.failures, ...full.failures],
    };
  },
  control: {
    what: "segment files are made long by ftruncate, not allocated",
    run: (context) => untilTheLastByte({ ...context, mutant: buildMutant(SPARSE) }),
  },
};

/** Waits with an eye on the broker, whose end is the end of the case. */
type Until = (what: string, condition: () => boolean | Promise<boolean>) => Promise<void>;

interface Scene {
  readonly context: FaultContext;
  readonly disk: SmallDisk;
  readonly broker: BrokerProcess;
  readonly book: Book;
  readonly failures: string[];
  readonly until: Until;
}

async function withDisk(
  context: FaultContext,
  limit: string,
  play: (scene: Scene) => Promise<string>,
): Promise<FaultResult> {
  const releases = new Releases();
  let broker: BrokerProcess | null = null;
  const book = new Book();
  const failures: string[] = [];
  let counts = "";
  try {
    const disk = new SmallDisk(DISK_BYTES, releases);
    const started = await startFaultBroker(context, {
      dataDir: `${disk.path}/data`,
      args: ["--log-level", "warn"],
      environment: { LEVERET_FREE_DISK_MIN: limit },
    });
    broker = started;
    const until: Until = (what, condition) =>
      waitFor(what, () => {
        const { exit } = started.program;
        if (exit !== undefined) throw new Error(`the broker ended (${exit.code ?? exit.signal}), waiting for ${what}`);
        return condition();
      }, 60_000).then(() => {});
    counts = await play({ context, disk, broker: started, book, failures, until });
    const code = await started.terminate();
    if (code !== 0) failures.push(`the broker ended with ${code}: ${started.stderr.slice(-500)}`);
  } catch (error) {
    failures.push(`${(error as Error).message}; the broker said: ${broker?.stderr.slice(-300)}`);
  } finally {
    await broker?.dispose();
    releases.close();
  }
  const { lost, phantom } = book;
  // What a broker that died had not delivered yet is not lost.
  if (failures.length === 0 && lost > 0) failures.push(`${lost} confirmed messages were not delivered`);
  if (phantom > 0) failures.push(`${phantom} messages were delivered that nobody had published`);
  return { lost: failures.length === 0 ? lost : 0, phantom, counts, failures };
}

/** No confirm comes any more. */
async function expectQuiet(publisher: FlowPublisher, until: Until, failures: string[]): Promise<number> {
  let [seen, sinceMs] = [publisher.confirmed, performance.now()];
  // What was read before the block is confirmed when it is on disk.
  await until("end of the confirms", () => {
    if (publisher.confirmed !== seen) [seen, sinceMs] = [publisher.confirmed, performance.now()];
    return performance.now() - sinceMs > QUIET_MS;
  });
  await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
  if (publisher.confirmed !== seen) failures.push(`${publisher.confirmed - seen} confirms came while blocked`);
  return seen;
}

function untilTheLimit(context: FaultContext): Promise<FaultResult> {
  return withDisk(context, "50 MiB", async ({ disk, broker, book, failures, until }) => {
    const size = context.full ? "full" : "short";
    const rounds = ROUNDS[size];
    const setup = await RawAmqp.open(broker.port, { channels: 1 });
    await setup.call("queue.declare-ok", queue.declare(1, "q", { durable: true }));
    let [belowMs, aboveMs] = [0, 0];
    const sampler = setInterval(() => {
      if (disk.freeBytes >= LIMIT_BYTES) aboveMs ||= performance.now();
      else {
        belowMs ||= performance.now();
        aboveMs = 0;
      }
    }, SAMPLE_MS);
    disk.fill("ballast", BALLAST_BYTES);
    const publisher = await FlowPublisher.open(broker.port, book, { queue: "q", bodyBytes: 4096, window: 4000 });
    let [slowestBlockMs, slowestResumeMs] = [0, 0];
    try {
      for (let round = 0; round < rounds; round++) {
        // The others are freed by consuming.
        const isBallast = round === 1;
        const before = publisher.blocks;
        await until("connection.blocked", () => publisher.blocks > before || publisher.isBlocked);
        const free = disk.freeBytes;
        if (free < LIMIT_BYTES - OVERSHOT_BYTES_MAX) failures.push(`only ${free} bytes were free at the block`);
        slowestBlockMs = Math.max(slowestBlockMs, publisher.blockedMs - (belowMs || Infinity));
        const confirmed = await expectQuiet(publisher, until, failures);
        [belowMs, aboveMs] = [0, 0];
        let consumer: FlowConsumer | null = null;
        if (isBallast) disk.remove("ballast");
        else consumer = await FlowConsumer.open(broker.port, book, { queue: "q", prefetch: 500 });
        await until("connection.unblocked", () => !publisher.isBlocked);
        slowestResumeMs = Math.max(slowestResumeMs, publisher.unblockedMs - (aboveMs || Infinity));
        await until("confirms again", () => publisher.confirmed > confirmed + 100);
        consumer?.destroy();
        [belowMs, aboveMs] = [0, 0];
      }
      publisher.stop();
      const consumer = await FlowConsumer.open(broker.port, book, { queue: "q", prefetch: 500 });
      await until("last confirm", () => publisher.unconfirmed === 0);
      await until("last delivery", () => book.delivered === publisher.sent - publisher.nacked);
      if (publisher.ended !== null) failures.push(`the publisher was cut off: ${publisher.ended}`);
      consumer.destroy();
    } finally {
      clearInterval(sampler);
      publisher.destroy();
      setup.socket.destroy();
    }
    if (slowestBlockMs > BLOCKED_MS[size]) failures.push(`blocked after ${slowestBlockMs.toFixed(0)} ms`);
    if (slowestResumeMs > RESUMED_MS[size]) failures.push(`resumed after ${slowestResumeMs.toFixed(0)} ms`);
    return `${rounds} times at the limit, ${book.confirmed} confirmed, blocked after at most ` +
      `${slowestBlockMs.toFixed(0)} ms, resumed after ${slowestResumeMs.toFixed(0)} ms`;
  });
}

function untilTheLastByte(context: FaultContext): Promise<FaultResult> {
  return withDisk(context, "0", async (scene) => {
    const { broker, book, failures, until } = scene;
    const rounds = ROUNDS[context.full ? "full" : "short"];
    const setup = await RawAmqp.open(broker.port, { channels: 1 });
    for (const name of QUEUES) {
      await setup.call("queue.declare-ok", queue.declare(1, name, { durable: true }));
    }
    await setup.call("exchange.declare-ok", exchange.declare(1, "side", "fanout", { durable: true }));
    for (const name of SIDE_QUEUES) await setup.call("queue.bind-ok", queue.bind(1, name, "side", ""));
    setup.socket.destroy();
    let nacked = 0;
    for (let round = 0; round < rounds; round++) nacked += await fillUp(scene, round);
    // What is left, everywhere.
    const consumers: FlowConsumer[] = [];
    for (const name of QUEUES) {
      consumers.push(await FlowConsumer.open(broker.port, book, { queue: name, prefetch: 1000 }));
    }
    await until(
      "last delivery",
      () => book.lost === 0 && consumers.every((one) => performance.now() - one.lastMs > 500),
    );
    const after = await RawAmqp.open(broker.port, { channels: 1 });
    for (const name of SIDE_QUEUES) {
      const declared = await after.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
      declared.shortString();
      const left = declared.long();
      if (left > 0) failures.push(`${left} messages are left in ${name}`);
    }
    await after.close();
    for (const consumer of consumers) consumer.destroy();
    return `${rounds} times to the last byte, ${book.confirmed} confirmed, ${nacked} refused`;
  });
}

/** One round under load; in every third the broker is killed while the disk is full. Returns how many were refused. */
async function fillUp({ disk, broker, book, failures, until }: Scene, round: number): Promise<number> {
  const { port } = broker;
  const toSides = await FlowPublisher.open(port, book, { exchange: "side", queue: "", bodyBytes: 64, window: 100 });
  await until("messages in the queues at the side", () => toSides.confirmed > 300);
  toSides.stop();
  await until("all of their confirms", () => toSides.unconfirmed === 0);
  const consumer = await FlowConsumer.open(port, book, { queue: "flow", prefetch: 300 });
  // One message at a time: what is written is small, and goes through mapped memory.
  const single = await FlowPublisher.open(port, book, { queue: "single", bodyBytes: 100, window: 1 });
  const binder = await RawAmqp.open(port, { channels: 1 });
  const parties = [toSides, single, consumer];
  let filler: ReturnType<typeof setInterval> | undefined;
  try {
    await until("load", () => single.confirmed > 200);
    disk.fill("foreign");
    // Takes what the broker gives back, too.
    if (round % 3 < 2) filler = setInterval(() => disk.fill("foreign"), 20);
    // What is allocated can be used.
    const unfilled = single.confirmed;
    await until("confirms on a full disk", () => single.confirmed > unfilled + SINGLES || single.isBlocked);
    const flowing = await FlowPublisher.open(port, book, { queue: "flow", bodyBytes: 200, window: 500 });
    const piling = await FlowPublisher.open(port, book, { queue: "backlog", bodyBytes: 16 * 1024, window: 64 });
    parties.push(flowing, piling);
    await until("connection.blocked", () => piling.isBlocked);
    await expectQuiet(piling, until, failures);
    // What is not blocked and wants to be written: bindings, acknowledgements with holes in queues that had none.
    for (let index = 0; index < BINDINGS; index++) {
      binder.send(queue.bind(1, "flow", "amq.topic", `${round} ${index} ${"x".repeat(200)}`));
    }
    const sides: FlowConsumer[] = [];
    for (const name of SIDE_QUEUES) {
      sides.push(await FlowConsumer.open(port, book, { queue: name, prefetch: 1000, holdEvery: 3 }));
    }
    await until("deliveries", () => sides.every((side) => side.received > 200));
    parties.push(...sides);
    if (round % 3 === 1) {
      await broker.kill9();
      await broker.restart();
      const again = await RawAmqp.open(port, { channels: 1 });
      await again.close();
    }
    for (const side of sides) side.release();
    await until("emptied flow", () => performance.now() - consumer.lastMs > QUIET_MS);
    clearInterval(filler);
    disk.remove("foreign");
    const publishers = [piling, flowing, single];
    const nacked = (): number => publishers.reduce((sum, publisher) => sum + publisher.nacked, 0);
    if (round % 3 === 1) return nacked();
    await until("connection.unblocked", () => publishers.every((publisher) => !publisher.isBlocked));
    const [before, beforeFlow] = [piling.confirmed, flowing.confirmed];
    await until("confirms again", () => piling.confirmed > before && flowing.confirmed > beforeFlow);
    for (let bound = 0; bound < BINDINGS; bound++) await binder.reply("queue.bind-ok");
    for (const party of parties) if (party.ended !== null) failures.push(`somebody was cut off: ${party.ended}`);
    for (const publisher of publishers) publisher.stop();
    await until("last confirm", () => publishers.every((publisher) => publisher.unconfirmed === 0));
    return nacked();
  } finally {
    clearInterval(filler);
    for (const party of parties) party.destroy();
    binder.socket.destroy();
  }
}
