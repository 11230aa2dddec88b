// T14: connections, channels, queues, bindings and consumers come and go, by the hundred thousand. Nothing of them stays.

import { RawAmqp } from "../support/raw_amqp.ts";
import { openDescriptors } from "../support/process_state.ts";
import { PERSISTENT } from "../support/raw_bytes.ts";
import { basic, channel, exchange, queue, REPLIES } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";
import { buildMutant, type Mutant } from "./mutant.ts";
import { inMib, MIB, WatchedMemory } from "./watched_memory.ts";

/** Each makes and deletes a channel, a queue, a binding and a consumer, some an exchange, some a connection. */
const CYCLES = { full: 250_000, short: 5000, control: 1000 };
const MADE_PER_CYCLE = 4;
const CLIENTS = 16;
const CYCLES_PER_CONNECTION = 25;
const PARTS = 10;
const GROWTH_MAX = 0.1;
/** What a collector leaves lying about, beside that: in a short run it has hardly begun after the first tenth. */
const GARBAGE_BYTES = { full: 16 * MIB, short: 96 * MIB };
/** Spare files, and those of queues that were used a moment ago. */
const DESCRIPTORS_MORE_MAX = 12;

/** The files of a queue that is deleted stay open. */
const FILES_LEFT_OPEN: Mutant = {
  name: "files-left-open",
  edits: [{
    file: "store/queue_store.ts",
    find: "      this.#closeFiles(true);\n    }",
    replace: "    }",
  }],
};

export const churn: FaultCase = {
  name: "T14",
  title: "churn",
  needs: [],
  run: turnOver,
  control: {
    what: "deleted queues keep their files open",
    run: (context) => {
      return turnOver({ ...context, full: false, mutant: buildMutant(FILES_LEFT_OPEN) }, CYCLES.control);
    },
  },
};

async function turnOver(context: FaultContext, cycles?: number): Promise<FaultResult> {
  const size = context.full ? "full" : "short";
  const failures: string[] = [];
  const broker = await startFaultBroker(context, { args: ["--log-level", "error"] });
  const memory = new WatchedMemory(() => broker.pid);
  try {
    const perPart = (cycles ?? CYCLES[size]) / PARTS;
    const highest: number[] = [];
    let [descriptorsBefore, done] = [0, 0];
    for (let part = 0; part < PARTS; part++) {
      memory.begin();
      await Promise.all(Array.from({ length: CLIENTS }, (_, index) => {
        return churnOne(broker.port, `${part} ${index}`, Math.ceil(perPart / CLIENTS));
      }));
      done += CLIENTS * Math.ceil(perPart / CLIENTS);
      highest.push(memory.highest);
      // Nobody is connected any more.
      if (part === 0) descriptorsBefore = await settled(broker.pid);
      context.log(`${part + 1} of ${PARTS}: ${inMib(highest.at(-1)!)}, ${openDescriptors(broker.pid)} descriptors`);
    }
    const allowed = descriptorsBefore + DESCRIPTORS_MORE_MAX;
    const closed = () => openDescriptors(broker.pid) <= allowed;
    await waitFor("files closed", closed, 5000).catch(() => {});
    const descriptors = openDescriptors(broker.pid);
    if (!closed()) failures.push(`${descriptors} descriptors, ${descriptorsBefore} after the first tenth`);
    const [mark, end] = [highest[0]!, highest.at(-1)!];
    if (end > mark * (1 + GROWTH_MAX) + GARBAGE_BYTES[size]) {
      failures.push(`${inMib(end)} of memory in the end, ${inMib(mark)} after the first tenth`);
    }
    if (broker.stderr !== "") failures.push(`the broker said: ${broker.stderr.slice(0, 300)}`);
    const counts = `${done * MADE_PER_CYCLE} made and deleted, memory ${inMib(mark)} in the first tenth, ` +
      `${inMib(end)} in the last, descriptors ${descriptorsBefore} and ${descriptors}`;
    return { lost: 0, phantom: 0, counts, failures };
  } finally {
    memory.stop();
    await broker.dispose();
  }
}

/** Descriptors, when they have not changed for a while. */
async function settled(pid: number): Promise<number> {
  let [count, sinceMs] = [openDescriptors(pid), performance.now()];
  await waitFor("settled descriptors", () => {
    const now = openDescriptors(pid);
    if (now !== count) [count, sinceMs] = [now, performance.now()];
    return performance.now() - sinceMs > 1500;
  });
  return count;
}

export async function churnOne(port: number, prefix: string, cycles: number): Promise<void> {
  for (let done = 0; done < cycles;) {
    const client = await RawAmqp.open(port);
    for (let index = 0; index < CYCLES_PER_CONNECTION && done < cycles; index++, done++) {
      await cycle(client, `${prefix} ${done}`, done);
    }
    // The broker cleans up behind a client that just goes.
    if (done % 2 === 0) await client.close();
    else client.reset();
  }
}

async function cycle(client: RawAmqp, name: string, index: number): Promise<void> {
  const number = 1 + index % 9;
  const durable = index % 4 === 0;
  const exclusive = !durable && index % 2 === 1;
  const withExchange = index % 8 === 0;
  const source = withExchange ? `e ${name}` : "amq.topic";
  client.send(
    channel.open(number),
    queue.declare(number, name, { durable, exclusive, autoDelete: index % 3 === 0 }),
    withExchange ? exchange.declare(number, source, "topic", { durable }) : Buffer.alloc(0),
    queue.bind(number, name, source, `key.${index % 100}.#`),
    basic.publish(number, name, Buffer.alloc(100), PERSISTENT),
    basic.consume(number, name, { tag: "c", noAck: index % 5 > 0 }),
  );
  // Deleted while there is something in it, or not; bound, or not any more.
  if (index % 2 === 0) await until(client, "basic.deliver");
  if (index % 4 === 1) client.send(queue.unbind(number, name, source, `key.${index % 100}.#`));
  if (index % 3 > 0) client.send(basic.cancel(number, "c"));
  if (index % 3 > 0) client.send(queue.delete(number, name));
  if (withExchange) client.send(exchange.delete(number, source));
  client.send(channel.close(number));
  await until(client, "channel.close-ok");
}

async function until(client: RawAmqp, name: keyof typeof REPLIES): Promise<void> {
  while (true) {
    const frame = await client.next();
    if (frame === null) throw new Error(`expected ${name}, the broker ended the connection`);
    if (frame.name === REPLIES[name]) return;
    if (frame.name === REPLIES["channel.close"] || frame.name === REPLIES["connection.close"]) {
      throw new Error(`expected ${name}, found ${frame.args.short()} ${frame.payload.toString("latin1", 7)}`);
    }
  }
}
