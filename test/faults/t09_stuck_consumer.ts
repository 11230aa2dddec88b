// T09: consumers that read nothing of what they asked for, without a prefetch: small, empty and large messages, and many
// channels on one connection. Each may cost the broker 8 MiB; others get theirs as fast as before.

import { RawAmqp } from "../support/raw_amqp.ts";
import { PERSISTENT } from "../support/raw_bytes.ts";
import { basic, channel, confirm, queue } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";
import { Book, FlowConsumer, FlowPublisher } from "./flow.ts";
import { buildMutant, type Mutant } from "./mutant.ts";
import { inMib, MIB, WatchedMemory } from "./watched_memory.ts";

const PER_STUCK_BYTES_MAX = 8 * MIB;
const MESSAGES = { full: 5_000_000, short: 120_000 };
const EMPTY_MESSAGES = 200_000;
const LARGE_BYTES = 6 * MIB;
const LARGE_MESSAGES = 20;
const CHANNELS = 200;
/** Of the rate before, in a full run. */
const RATE_MIN = 0.8;

/** What a consumer does not read is held without end. */
const NO_HIGH_WATER: Mutant = {
  name: "no-high-water-mark",
  edits: [
    {
      file: "limits.ts",
      find: "export const OUT_PENDING_BYTES_MAX = 1024 * 1024;",
      replace: "export const OUT_PENDING_BYTES_MAX = Infinity;",
    },
    {
      file: "limits.ts",
      find: "export const OUT_PENDING_BYTES_CROWDED = 128 * 1024;",
      replace: "export const OUT_PENDING_BYTES_CROWDED = Infinity;",
    },
  ],
};

const NOTHING: FaultResult = { lost: 0, phantom: 0, counts: "", failures: [] };

/** Queue, channels with a consumer each, and how many such connections. */
const STUCK: readonly (readonly [name: string, channels: number, count: number])[] = [
  ["load", 1, 6],
  ["load", CHANNELS, 2],
  ["empty", 1, 2],
  ["large", 1, 2],
];

export const stuckConsumer: FaultCase = {
  name: "T09",
  title: "stuck consumers",
  needs: [],
  run: stick,
  control: {
    what: "no limit for what waits to be read",
    run: (context) => stick({ ...context, full: false, mutant: buildMutant(NO_HIGH_WATER) }),
  },
};

async function stick(context: FaultContext): Promise<FaultResult> {
  const failures: string[] = [];
  const book = new Book();
  const broker = await startFaultBroker(context, { args: ["--log-level", "warn"] });
  const memory = new WatchedMemory(() => broker.pid);
  const clients: { destroy(): void }[] = [];
  const messages = MESSAGES[context.full ? "full" : "short"];
  try {
    await preload(broker.port);
    for (const index of [0, 1]) {
      clients.push(await FlowConsumer.open(broker.port, book, { queue: "load", prefetch: 300 + index }));
    }
    const load = { queue: "load", bodyBytes: 1000, window: 1500 };
    const publishers = [
      await FlowPublisher.open(broker.port, book, load),
      await FlowPublisher.open(broker.port, book, load),
    ];
    clients.push(...publishers);
    const pass = async (count: number, bytesMax = Infinity): Promise<number> => {
      const [before, beforeMs] = [book.delivered, performance.now()];
      const isOver = () => book.delivered >= before + count || memory.highest > bytesMax;
      await waitFor("deliveries", isOver, 1_800_000);
      return (book.delivered - before) / (performance.now() - beforeMs);
    };
    await pass(messages / 8);
    memory.begin();
    const rateBefore = await pass(messages / 4);
    const before = memory.highest;
    let stuck = 0;
    for (const [name, channels, count] of STUCK) {
      for (let index = 0; index < count; index++, stuck++) clients.push(await stickOne(broker.port, name, channels));
    }
    memory.begin();
    const bytesMax = before + stuck * PER_STUCK_BYTES_MAX;
    const rate = await pass(messages, bytesMax);
    const grown = memory.highest - before;
    if (memory.highest > bytesMax) return { ...NOTHING, failures: [`${stuck} of them cost ${inMib(grown)}, or more`] };
    if (context.full && rate < RATE_MIN * rateBefore) {
      failures.push(`others got ${rate.toFixed(1)} messages/ms, ${rateBefore.toFixed(1)} before`);
    }
    for (const publisher of publishers) publisher.stop();
    await waitFor("last confirm", () => publishers.every((publisher) => publisher.unconfirmed === 0), 60_000);
    // What the stuck ones hold goes to the others.
    for (const client of clients.splice(4)) client.destroy();
    await waitFor("what the stuck ones held", () => book.lost === 0, 60_000);
    const counts = `${stuck} stuck connections, ${book.confirmed} confirmed, ${inMib(grown)} more memory, ` +
      `others at ${(100 * rate / rateBefore).toFixed(0)} %`;
    return { lost: book.lost, phantom: book.phantom, counts, failures };
  } finally {
    memory.stop();
    for (const client of clients) client.destroy();
    await broker.dispose();
  }
}

async function preload(port: number): Promise<void> {
  const client = await RawAmqp.open(port, { channels: 1 });
  for (const name of ["load", "empty", "large"]) {
    await client.call("queue.declare-ok", queue.declare(1, name, { durable: true }));
  }
  await client.call("confirm.select-ok", confirm.select(1));
  const empty = Buffer.concat(Array.from({ length: 500 }, () => basic.publish(1, "empty", "")));
  for (let count = 0; count < EMPTY_MESSAGES; count += 500) client.send(empty);
  const large = basic.publish(1, "large", Buffer.alloc(LARGE_BYTES), PERSISTENT);
  for (let count = 0; count < LARGE_MESSAGES; count++) client.send(large);
  for (let confirmed = 0; confirmed < EMPTY_MESSAGES + LARGE_MESSAGES;) {
    confirmed = (await client.reply("basic.ack")).args.longlong();
  }
  // The broker has read some of each once.
  for (const name of ["empty", "large", "large"]) {
    client.send(basic.get(1, name));
    await client.message();
  }
  await client.close();
}

/** Consumes and does not read. */
async function stickOne(port: number, name: string, channels: number): Promise<{ destroy(): void }> {
  const client = await RawAmqp.open(port, { channels: 1 });
  for (let number = 2; number <= channels; number++) await client.call("channel.open-ok", channel.open(number));
  client.socket.pause();
  for (let number = 1; number <= channels; number++) client.send(basic.consume(number, name, { noWait: true }));
  return { destroy: () => client.socket.destroy() };
}
