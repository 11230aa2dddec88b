// What a stream costs, and that reading it from its start takes no more memory than from its end:
// `stream_store_bench.ts [mapped|plain|memory] [messages]`.

import process from "node:process";
import { Message } from "./message.ts";
import { type FilesKind, filesOf, messageOf, TestHost } from "./queue_store_testing.ts";
import { StreamStore } from "./stream_store.ts";
import type { StreamStart } from "./stream_cursor.ts";
import { NO_LIMITS } from "./stream_store_testing.ts";

/** Messages per turn: about what a chunk of one socket holds. */
const TURN_MESSAGES = 4096;

const kind = (process.argv[2] ?? "mapped") as FilesKind;
const count = Number(process.argv[3] ?? 10_000_000);
const files = await filesOf(kind);
if (files === null) throw new Error(`no ${kind} files here`);
const host = new TestHost(files);
const stream = StreamStore.open({ queueId: 7, directory: host.queueDirectory, retention: NO_LIMITS }, host);
const message = new Message();

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function memory(): string {
  return `${Math.round(process.memoryUsage.rss() / 1e6)} MB`;
}

async function endTurn(turn: number): Promise<void> {
  host.commit.endTurn();
  if (turn % 16 !== 0) return;
  host.commit.sync();
  await new Promise((resolve) => setTimeout(resolve, 0));
}

async function read(name: string, start: StreamStart): Promise<void> {
  const cursor = stream.cursor();
  let begin = cpuMs();
  cursor.seek(start);
  const seekMs = cpuMs() - begin;
  begin = cpuMs();
  let read = 0;
  while (cursor.next(message)) if (++read % TURN_MESSAGES === 0) await endTurn(read / TURN_MESSAGES);
  const nsEach = (cpuMs() - begin) * 1e6 / Math.max(1, read);
  cursor.close();
  console.log(
    `${kind} from ${name}: sought in ${seekMs.toFixed(1)} ms, ${read} read, ${
      nsEach.toFixed(0)
    } ns each, RSS ${memory()}`,
  );
}

const published = messageOf(new Uint8Array(16).fill(7));
const begin = cpuMs();
for (let i = 0; i < count; i++) {
  published.timestampMs = 1_800_000_000_000 + i;
  stream.append(published);
  if (i % TURN_MESSAGES === 0) await endTurn(i / TURN_MESSAGES);
}
await endTurn(0);
console.log(
  `${kind} append: ${
    ((cpuMs() - begin) * 1e6 / count).toFixed(0)
  } ns each, ${stream.segmentCount} segments, RSS ${memory()}`,
);
await read("the end", { kind: "offset", offset: -1000 });
await read("the start", { kind: "first" });
await read("the middle", { kind: "offset", offset: count / 2 });
await read("a time", { kind: "timestamp", timestampMs: 1_800_000_000_000 + count - 1000 });
stream.destroy();
await host.dispose();
