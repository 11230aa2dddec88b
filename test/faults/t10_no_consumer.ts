// T10: nobody consumes. Memory does not follow what is queued, and publishing stays as fast as it was.

import { RawAmqp } from "../support/raw_amqp.ts";
import { queue } from "../support/raw_methods.ts";
import { residentBytes } from "../support/process_state.ts";
import { waitFor } from "../support/wait.ts";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";
import { Book, FlowPublisher } from "./flow.ts";
import { buildMutant, type Mutant } from "./mutant.ts";
import { inMib, MIB, WatchedMemory } from "./watched_memory.ts";

const BODY_BYTES = 4096;
const BACKLOG_BYTES = { full: 10 * 1024 * MIB, short: 512 * MIB };
const MEMORY_BYTES_MAX = 400 * MIB;
/** From the first half to the second: what collectors leave lying about, and nothing that grows with the backlog. */
const GROWTH_BYTES_MAX = 48 * MIB;
/** Parts of the backlog between which rates are compared, and what the last may lack in a full run. */
const PARTS = 10;
const RATE_MIN = 0.8;

/** An index of the messages in memory, with the beginning of each. */
const OBJECT_PER_MESSAGE: Mutant = {
  name: "object-per-message",
  edits: [{
    file: "store/queue_store.ts",
    find: "    this.readyCount++;\n    this.readyBytes += bodyBytes;\n    return segment.base + (offset >>> 3);",
    replace: `    this.readyCount++;
    this.readyBytes += bodyBytes;
    const { body, bodyAt } = message;
    const self = this as unknown as { index: unknown[] };
    (self.index ??= []).push({ offset, recordBytes, body: body.slice(bodyAt, bodyAt + 1024) });
    return segment.base + (offset >>> 3);`,
  }],
};

export const noConsumer: FaultCase = {
  name: "T10",
  title: "backlog without consumers",
  needs: [],
  run: pile,
  control: {
    what: "an object per message in memory",
    run: (context) => pile({ ...context, full: false, mutant: buildMutant(OBJECT_PER_MESSAGE) }),
  },
};

async function pile(context: FaultContext): Promise<FaultResult> {
  const failures: string[] = [];
  const book = new Book();
  const broker = await startFaultBroker(context, { args: ["--log-level", "warn"] });
  const memory = new WatchedMemory(() => broker.pid);
  const messages = BACKLOG_BYTES[context.full ? "full" : "short"] / BODY_BYTES;
  let publisher: FlowPublisher | null = null;
  try {
    const client = await RawAmqp.open(broker.port, { channels: 1 });
    await client.call("queue.declare-ok", queue.declare(1, "q", { durable: true }));
    const publishing = await FlowPublisher.open(broker.port, book, { queue: "q", bodyBytes: BODY_BYTES, window: 1000 });
    publisher = publishing;
    const rates: number[] = [];
    const highest: number[] = [];
    for (let part = 1; part <= PARTS; part++) {
      const [before, beforeMs] = [publishing.confirmed, performance.now()];
      memory.begin();
      await waitFor("confirms", () => publishing.confirmed >= messages * part / PARTS, 1_800_000);
      rates.push((publishing.confirmed - before) / (performance.now() - beforeMs));
      highest.push(memory.highest);
      context.log(`${part} of ${PARTS}: ${rates.at(-1)!.toFixed(1)} messages/ms, ${inMib(highest.at(-1)!)}`);
    }
    publishing.stop();
    await waitFor("last confirm", () => publishing.unconfirmed === 0, 60_000);
    const resident = residentBytes(broker.pid);
    const declared = await client.call("queue.declare-ok", queue.declare(1, "q", { passive: true }));
    declared.shortString();
    const ready = declared.long();
    const lost = Math.max(0, publishing.confirmed - ready);
    if (lost > 0) failures.push(`${ready} of ${publishing.confirmed} confirmed messages are there`);
    const most = Math.max(...highest);
    const grown = Math.max(...highest.slice(PARTS / 2)) - Math.max(...highest.slice(0, PARTS / 2));
    if (most > MEMORY_BYTES_MAX) failures.push(`the broker holds ${inMib(most)}`);
    if (grown > GROWTH_BYTES_MAX) failures.push(`the second half of the backlog cost ${inMib(grown)} of memory`);
    const [first, last] = [rates[0]!, rates.at(-1)!];
    if (context.full && last < RATE_MIN * first) {
      failures.push(`${last.toFixed(1)} messages/ms in the end, ${first.toFixed(1)} in the beginning`);
    }
    await client.close();
    const counts = `${inMib(publishing.confirmed * BODY_BYTES)} in ${publishing.confirmed} messages, ` +
      `${inMib(most)} of memory at most (${inMib(resident)} resident with mapped files), rate in the end ` +
      `${(100 * last / first).toFixed(0)} % of that in the beginning`;
    return { lost, phantom: 0, counts, failures };
  } finally {
    memory.stop();
    publisher?.destroy();
    await broker.dispose();
  }
}
