import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Inspector, lookingFiles } from "./inspection.ts";
import { contentOf, filesOf, FIRST, five, restore, SMALL, testHosts } from "./queue_store_testing.ts";
import type { StoreEvent } from "./store_event.ts";
import { fill, openStream } from "./stream_store_testing.ts";

const hostOf = testHosts();
const files = (await filesOf("plain"))!;

function inspectorOf(repairs: boolean): { inspector: Inspector; events: StoreEvent[] } {
  const events: StoreEvent[] = [];
  const report = (event: StoreEvent) => void events.push(event);
  return { inspector: new Inspector({ files, segmentBytes: 4096, report, repairs }), events };
}

test("a look at a stream reads what a start leaves for later: every byte of its full segments", () => {
  const host = hostOf(files);
  const stream = openStream(host);
  fill(stream, 0, 300);
  host.commit.endTurn();
  stream.close();
  host.commit.sync();
  const path = join(host.queueDirectory, FIRST);
  const bytes = readFileSync(path);
  bytes[2000]! ^= 1;
  writeFileSync(path, bytes);
  openStream(host).close();
  assert.deepEqual(host.events, [], "a start looks only at its beginning");
  const { inspector, events } = inspectorOf(false);
  const { segments, records, ready, settled } = inspector.inspect("stream", 7, host.queueDirectory);
  assert.deepEqual([records, ready, settled, events.map(({ kind }) => kind)], [300, 300, 0, ["damaged-record"]]);
  assert.equal(segments, readdirSync(host.queueDirectory).length);
});

test("a stream without one of its segments says so, and how many messages that were", () => {
  const host = hostOf(files);
  const stream = openStream(host);
  fill(stream, 0, 300);
  host.commit.endTurn();
  stream.close();
  host.commit.sync();
  rmSync(join(host.queueDirectory, "msgs.0000000002"));
  const { inspector, events } = inspectorOf(false);
  const { records } = inspector.inspect("stream", 7, host.queueDirectory);
  assert.equal(records, 300, "offsets stay what they were");
  assert.deepEqual(events.map(({ kind, path }) => [kind, path.slice(-15)]), [["missing-segment", "msgs.0000000003"]]);
  assert.match(events[0]!.detail, /not there, [1-9][0-9]* messages$/);
});

test("a look changes nothing; a repair does what a start does", () => {
  const host = hostOf(files);
  const { content } = five(host);
  const broken = new Map(content);
  broken.set("msgs.0000000002", new Uint8Array(4096));
  broken.set("msgs.0000000003", content.get(FIRST)!);
  broken.set("acks.0000000001", new Uint8Array(100).fill(7));
  broken.set("done.0000000009", new Uint8Array(9));
  restore(host, broken);
  const look = inspectorOf(false);
  const found = look.inspector.inspect("queue", 7, host.queueDirectory);
  assert.deepEqual(contentOf(host), broken);
  const repair = inspectorOf(true);
  assert.deepEqual(repair.inspector.inspect("queue", 7, host.queueDirectory), found);
  assert.deepEqual(repair.events, look.events);
  assert.deepEqual(look.events.map(({ kind }) => kind), ["damaged-acks", "empty-segment", "unbegun-segment"]);
  host.events.length = 0;
  assert.equal(host.open(SMALL).readyCount, 5);
  assert.deepEqual(host.events, []);
});

test("a disk that is looked at cannot be changed, whoever tries", () => {
  const { disk } = lookingFiles(files);
  for (
    const name of ["write", "truncate", "writeFile", "copyFile", "rename", "link", "remove", "removeTree"] as const
  ) {
    assert.throws(() => (disk[name] as (...args: unknown[]) => void)("/nowhere", "/nowhere"), /only looked at/, name);
  }
  assert.throws(() => disk.open("/nowhere", "w+"), /only looked at/);
});
