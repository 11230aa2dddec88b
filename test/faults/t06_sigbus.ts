// T06: somebody cuts a mapped segment short while the broker runs. The kernel ends it at the next touch of what is gone;
// started again it serves all other queues, says which one is damaged, and keeps what was whole there.

import { readdirSync, truncateSync } from "node:fs";
import { join } from "node:path";
import type { BrokerProcess } from "../support/broker_process.ts";
import { RawAmqp } from "../support/raw_amqp.ts";
import { PERSISTENT } from "../support/raw_bytes.ts";
import { basic, confirm, queue } from "../support/raw_methods.ts";
import { startFaultBroker } from "./fault_broker.ts";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";

const ROUNDS = { full: 20, short: 2 };
const PER_QUEUE = 200;
const BODY_BYTES = 512;
const OTHERS = 5;
/** What is left of the segment: its header and some messages. */
const LEFT_BYTES = 16 * 1024;
/** SIGBUS, by itself or as a shell tells it. */
const isBusError = ({ code, signal }: { code: number | null; signal: string | null }): boolean =>
  signal === "SIGBUS" || code === 135;

export const sigbus: FaultCase = {
  name: "T06",
  title: "segment cut short from outside",
  needs: [],
  run: cut,
  // The fault is the broker's end already: there is nothing to break.
  control: null,
};

async function cut(context: FaultContext): Promise<FaultResult> {
  const rounds = ROUNDS[context.full ? "full" : "short"];
  const failures: string[] = [];
  let [lost, phantom, kept] = [0, 0, 0];
  const broker = await startFaultBroker(context, { args: ["--log-level", "warn"] });
  try {
    for (let round = 0; round < rounds && failures.length === 0; round++) {
      const found = await cutOnce(broker, round, failures);
      lost += found.lost;
      phantom += found.phantom;
      kept += found.kept;
    }
    const code = await broker.terminate();
    if (code !== 0) failures.push(`the broker ended with ${code} in the end`);
  } finally {
    await broker.dispose();
  }
  const published = rounds * PER_QUEUE;
  return {
    lost,
    phantom,
    counts: `${rounds} cuts, ${rounds * OTHERS * PER_QUEUE} confirmed in other queues; of ${published} in those cut ` +
      `${kept} were whole and delivered`,
    failures,
  };
}

interface Found {
  lost: number;
  phantom: number;
  kept: number;
}

async function cutOnce(broker: BrokerProcess, round: number, failures: string[]): Promise<Found> {
  const before = segmentsOf(broker.dataDir);
  const client = await RawAmqp.open(broker.port, { channels: 1 });
  await client.call("confirm.select-ok", confirm.select(1));
  const names = ["cut", ...Array.from({ length: OTHERS }, (_, index) => `other ${index}`)];
  let tag = 0;
  for (const name of names) {
    await client.call("queue.declare-ok", queue.declare(1, `${round} ${name}`, { durable: true }));
    for (let number = 0; number < PER_QUEUE; number++) {
      client.send(basic.publish(1, `${round} ${name}`, body(number), PERSISTENT));
    }
    for (let confirmed = tag; confirmed < tag + PER_QUEUE;) {
      confirmed = (await client.reply("basic.ack")).args.longlong();
    }
    tag += PER_QUEUE;
    // The first queue has its segments alone so far.
    if (name === "cut") {
      for (const path of segmentsOf(broker.dataDir)) if (!before.includes(path)) before.push(path, "cut");
    }
  }
  const target = before[before.lastIndexOf("cut") - 1]!;
  truncateSync(target, LEFT_BYTES);
  // Small writes go to mapped memory, and reads too.
  client.send(basic.publish(1, `${round} cut`, "touch", PERSISTENT));
  client.send(basic.consume(1, `${round} cut`, { noWait: true }));
  const exit = await broker.program.waitForExit();
  client.socket.destroy();
  if (!isBusError(exit)) failures.push(`expected the end by SIGBUS, found code ${exit.code}, signal ${exit.signal}`);
  await broker.restart();
  const again = await RawAmqp.open(broker.port, { channels: 1 });
  const found: Found = { lost: 0, phantom: 0, kept: 0 };
  for (const name of names) {
    const numbers = await drain(again, `${round} ${name}`);
    for (const number of numbers) if (number < 0 || number >= PER_QUEUE) found.phantom++;
    if (name === "cut") found.kept = new Set(numbers).size;
    else found.lost += PER_QUEUE - new Set(numbers).size;
  }
  await again.close();
  if (found.lost > 0) failures.push(`${found.lost} messages of other queues are lost`);
  if (found.phantom > 0) failures.push(`${found.phantom} bodies came that nobody had published`);
  if (found.kept === 0) failures.push("nothing of what was whole in the cut segment was delivered");
  if (!broker.stderr.includes(target)) failures.push(`the log does not name ${target}: ${broker.stderr.slice(-500)}`);
  return found;
}

function body(number: number): Buffer {
  const bytes = Buffer.alloc(BODY_BYTES, number & 0xff);
  bytes.writeUInt32BE(number);
  return bytes;
}

async function drain(client: RawAmqp, name: string): Promise<number[]> {
  const numbers: number[] = [];
  const declared = await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
  declared.shortString();
  for (let count = declared.long(); count > 0; count--) {
    client.send(basic.get(1, name, true));
    const { body: bytes } = await client.message();
    if (bytes.toString() === "touch") continue;
    numbers.push(bytes.length === BODY_BYTES && bytes.equals(body(bytes.readUInt32BE(0))) ? bytes.readUInt32BE(0) : -1);
  }
  return numbers;
}

function segmentsOf(dataDir: string): string[] {
  return readdirSync(join(dataDir, "queues"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.includes("msgs.")).map((path) => join(dataDir, "queues", path)).sort();
}
