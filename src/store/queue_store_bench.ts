// What a queue store costs, ns of processor time per message: `queue_store_bench.ts [mapped|plain|memory] [messages]`.

import process from "node:process";
import { join } from "node:path";
import { Message } from "./message.ts";
import { QueueStore } from "./queue_store.ts";
import { type FilesKind, filesOf, messageOf, TestHost } from "./queue_store_testing.ts";
import { SpareSegments } from "./segment_pool.ts";

/** Messages per turn: about what a chunk of one socket holds. */
const TURN_MESSAGES = 4096;

const kind = (process.argv[2] ?? "mapped") as FilesKind;
const count = Number(process.argv[3] ?? 2_000_000);
const files = await filesOf(kind);
if (files === null) throw new Error(`no ${kind} files here`);
const host = new TestHost(files);
const pool = new SpareSegments({
  directory: join(host.directory, "spare"),
  segmentBytes: 8 * 1024 * 1024,
  files: host.files,
  report: (fault) => console.error(fault.message),
});
host.pool = pool;
const message = new Message();

/** Of all threads: more than the loop's own, but it does not depend on what else the machine does. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** Publishers and consumers in step: appended, delivered and settled within each turn. */
async function inStep(store: QueueStore, bodyBytes: number, turns: number, turnMessages: number): Promise<number> {
  const published = messageOf(new Uint8Array(bodyBytes).fill(7));
  let elapsed = 0;
  for (let turn = 0; turn < turns; turn++) {
    const start = cpuMs();
    for (let i = 0; i < turnMessages; i++) store.append(published);
    while (store.next(message)) store.settle(message.position, message.recordBytes, message.bodyBytes);
    host.commit.endTurn();
    elapsed += cpuMs() - start;
    if (turn % 16 === 15) {
      host.commit.sync();
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }
  return elapsed * 1e6 / (turns * turnMessages);
}

/** Everything published, then everything consumed. */
async function fillThenDrain(store: QueueStore, bodyBytes: number, total: number): Promise<[number, number]> {
  const published = messageOf(new Uint8Array(bodyBytes).fill(7));
  let start = cpuMs();
  for (let i = 0; i < total; i++) {
    store.append(published);
    if (i % TURN_MESSAGES === 0) host.commit.endTurn();
  }
  host.commit.endTurn();
  const fill = cpuMs() - start;
  host.commit.sync();
  await new Promise((resolve) => setTimeout(resolve, 0));
  start = cpuMs();
  for (let i = 0; store.next(message); i++) {
    store.settle(message.position, message.recordBytes, message.bodyBytes);
    if (i % TURN_MESSAGES === 0) host.commit.endTurn();
  }
  host.commit.endTurn();
  const drain = cpuMs() - start;
  host.commit.sync();
  return [fill * 1e6 / total, drain * 1e6 / total];
}

let queueId = 0;
for (const bodyBytes of [16, 1024]) {
  const total = bodyBytes === 16 ? count : count / 10;
  const turnMessages = bodyBytes === 16 ? TURN_MESSAGES : 400;
  const store = QueueStore.open({ queueId: ++queueId, directory: join(host.directory, String(queueId)) }, host);
  for (let round = 0; round < 3; round++) {
    const step = await inStep(store, bodyBytes, Math.ceil(total / turnMessages), turnMessages);
    console.log(`${kind} ${bodyBytes} B in step: ${step.toFixed(0)} ns per append + next + settle`);
  }
  for (let round = 0; round < 2; round++) {
    const [fill, drain] = await fillThenDrain(store, bodyBytes, total);
    console.log(`${kind} ${bodyBytes} B fill: ${fill.toFixed(0)} ns, then drain: ${drain.toFixed(0)} ns`);
  }
  store.destroy();
}
await pool.close();
await host.dispose();
