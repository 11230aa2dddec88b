import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { FileFault } from "../runtime/fault.ts";
import { MemoryFiles } from "../runtime/memory_file.ts";
import type { SegmentFile, SegmentFiles } from "../runtime/runtime.ts";
import { Message } from "./message.ts";
import {
  bodyBytesOf,
  bodyOf,
  consume,
  filesOf,
  messageOf,
  numbers,
  publish,
  takeAll,
  TestHost,
  testHosts,
} from "./queue_store_testing.ts";

const hostOf = testHosts();

function segmentsOf(host: TestHost): string[] {
  return existsSync(host.queueDirectory)
    ? readdirSync(host.queueDirectory).filter((name) => name !== "quarantine")
    : [];
}

for (const kind of ["mapped", "plain", "memory"] as const) {
  const files = await filesOf(kind);
  if (files === null) continue;
  const newHost = () => hostOf(kind === "memory" ? new MemoryFiles() : files);

  test(`${kind}: messages come out as they went in, in order`, () => {
    const host = newHost();
    const store = host.open();
    const published = messageOf("body", "\x08exchange\x03key", "any header bytes");
    published.timestampMs = 1_812_345_678_901;
    const position = store.append(published);
    publish(store, 0, 100);
    const message = new Message();
    assert.ok(store.next(message));
    assert.equal(bodyOf(message), "body");
    assert.equal(message.position, position);
    assert.equal(message.timestampMs, 1_812_345_678_901);
    assert.equal(message.flags, 1);
    assert.equal(message.redelivered, false);
    const { route, routeAt, routeBytes, header, headerAt, headerBytes } = message;
    assert.deepEqual(route.slice(routeAt, routeAt + routeBytes), published.route);
    assert.deepEqual(header.slice(headerAt, headerAt + headerBytes), published.header);
    assert.deepEqual(takeAll(store), numbers(0, 100));
    assert.equal(store.next(message), false);
  });

  test(`${kind}: counts follow every move`, () => {
    const store = newHost().open();
    const counts = () => [store.readyCount, store.readyBytes, store.unackedCount, store.unackedBytes];
    store.append(messageOf("abc"));
    store.append(messageOf("defgh"));
    assert.deepEqual(counts(), [2, 8, 0, 0]);
    const message = new Message();
    store.next(message);
    assert.deepEqual(counts(), [1, 5, 1, 3]);
    store.requeue(message.position, 3);
    assert.deepEqual(counts(), [2, 8, 0, 0]);
    store.next(message);
    store.settle(message.position, message.recordBytes, message.bodyBytes);
    assert.deepEqual(counts(), [1, 5, 0, 0]);
    assert.equal(store.purge(), 1);
    assert.deepEqual(counts(), [0, 0, 0, 0]);
  });

  test(`${kind}: appending and reading interleave over many turns and segments`, () => {
    const host = newHost();
    const store = host.open({ segmentBytesMin: 4096, segmentBytesMax: 16 * 1024 });
    let published = 0;
    let read = 0;
    for (let turn = 0; turn < 400; turn++) {
      for (let i = 0; i < (turn * 7) % 23; i++) store.append(messageOf(`message ${published++}`));
      for (let i = 0; i < (turn * 11) % 25 && read < published; i++) {
        assert.equal(consume(store), read < published ? `message ${read++}` : null);
      }
      if (turn % 3 === 0) host.commit.endTurn();
      if (turn % 10 === 0) host.commit.sync();
    }
    while (read < published) assert.equal(consume(store), `message ${read++}`);
    assert.equal(consume(store), null);
    host.commit.endTurn();
    host.commit.sync();
    assert.ok(host.files.openCount <= 1, `only the tail's file is open, not ${host.files.openCount}`);
    if (kind !== "memory") assert.ok(segmentsOf(host).length <= 2, segmentsOf(host).join());
  });

  test(`${kind}: a message may be empty, have 255-byte names, or be larger than any segment`, () => {
    const host = newHost();
    const store = host.open({ segmentBytesMin: 4096, segmentBytesMax: 64 * 1024 });
    const large = new Uint8Array(1024 * 1024 + 3).map((_, i) => i * 31);
    const larger = new Uint8Array(3 * 1024 * 1024).map((_, i) => i * 17);
    const names = "\xff".padEnd(256, "e") + "\xff".padEnd(256, "k");
    const bodies = [new Uint8Array(0), large, new Uint8Array([1]), larger, large, new Uint8Array(0)];
    for (let round = 0; round < 2; round++) {
      for (const body of bodies) store.append(messageOf(body, names));
      if (round === 0) host.commit.endTurn();
      const message = new Message();
      for (const body of bodies) {
        assert.ok(store.next(message));
        assert.ok(Buffer.compare(bodyBytesOf(message), body) === 0, `${body.length} bytes`);
        assert.equal(message.routeBytes, new TextEncoder().encode(names).length);
        store.settle(message.position, message.recordBytes, message.bodyBytes);
      }
      assert.equal(store.next(message), false);
    }
  });

  test(`${kind}: what was settled in any order gives its segments back`, () => {
    const host = newHost();
    const store = host.open({ segmentBytesMin: 4096, segmentBytesMax: 4096 });
    publish(store, 0, 500);
    host.commit.endTurn();
    const taken: [number, number, number][] = [];
    const message = new Message();
    while (store.next(message)) taken.push([message.position, message.recordBytes, message.bodyBytes]);
    host.commit.endTurn();
    const shuffled = taken.map((one, i) => [(i * 7919) % 500, one] as const).sort((a, b) => a[0] - b[0]);
    for (const [index, one] of shuffled) {
      store.settle(...one);
      if (index % 50 === 0) host.commit.endTurn();
    }
    host.commit.endTurn();
    host.commit.sync();
    assert.equal(store.unackedCount, 0);
    assert.equal(host.files.openCount, 1);
    if (kind !== "memory") assert.equal(segmentsOf(host).filter((name) => name.startsWith("msgs")).length, 1);
  });

  test(`${kind}: requeued messages come first, at their old places, flagged redelivered`, () => {
    const host = newHost();
    const store = host.open({ segmentBytesMin: 4096, segmentBytesMax: 4096 });
    publish(store, 0, 200);
    host.commit.endTurn();
    const message = new Message();
    const positions: number[] = [];
    for (let i = 0; i < 150; i++) {
      store.next(message);
      positions.push(message.position);
    }
    for (const i of [140, 3, 77, 4, 149, 0]) store.requeue(positions[i]!, `message ${i}`.length);
    publish(store, 200, 210);
    assert.ok(store.peek(message));
    assert.equal(bodyOf(message), "message 0");
    for (const i of [0, 3, 4, 77, 140, 149]) {
      assert.ok(store.next(message));
      assert.equal(bodyOf(message), `message ${i}`);
      assert.equal(message.redelivered, true);
      assert.equal(message.position, positions[i]);
    }
    assert.ok(store.next(message));
    assert.equal(bodyOf(message), "message 150");
    assert.equal(message.redelivered, false);
    assert.deepEqual(takeAll(store), numbers(151, 210));
  });

  test(`${kind}: looking takes nothing, and an unacked message can be read again`, () => {
    const host = newHost();
    const store = host.open();
    assert.equal(store.peek(new Message()), false);
    publish(store, 0, 3);
    const message = new Message();
    assert.ok(store.peek(message));
    assert.ok(store.peek(message));
    assert.equal(bodyOf(message), "message 0");
    assert.equal(store.readyCount, 3);
    store.next(message);
    const { position } = message;
    store.next(message);
    store.read(position, message);
    assert.equal(bodyOf(message), "message 0");
    host.commit.endTurn();
    store.cool();
    store.read(position, message);
    assert.equal(bodyOf(message), "message 0");
    assert.equal(message.position, position);
  });

  test(`${kind}: a purge takes what is ready and leaves what is unacked`, () => {
    const host = newHost();
    const store = host.open({ segmentBytesMin: 4096, segmentBytesMax: 4096 });
    publish(store, 0, 300);
    const message = new Message();
    const unacked: number[] = [];
    for (let i = 0; i < 100; i++) {
      store.next(message);
      unacked.push(message.position);
    }
    for (let i = 0; i < 10; i++) store.requeue(unacked.pop()!, 9);
    assert.equal(store.purge(), 210);
    assert.equal(store.purge(), 0);
    assert.equal(store.unackedCount, 90);
    assert.equal(store.next(message), false);
    publish(store, 300, 310);
    host.commit.endTurn();
    assert.deepEqual(takeAll(store), numbers(300, 310));
    for (const position of unacked) store.requeue(position, 9);
    assert.deepEqual(takeAll(store), numbers(0, 90));
  });

  test(`${kind}: a cold queue holds no file and goes on where it was`, () => {
    const host = newHost();
    const store = host.open({ segmentBytesMin: 4096, segmentBytesMax: 16 * 1024 });
    publish(store, 0, 500);
    const message = new Message();
    for (let i = 0; i < 250; i++) store.next(message);
    host.commit.endTurn();
    store.cool();
    host.commit.sync();
    if (kind !== "memory") assert.equal(host.files.openCount, 0);
    publish(store, 500, 600);
    assert.deepEqual(takeAll(store), numbers(250, 600));
    for (let i = 0; i < 3; i++) {
      store.cool();
      store.append(messageOf("one more"));
      assert.deepEqual(takeAll(store), ["one more"]);
    }
  });

  test(`${kind}: a cold queue with nothing in it has no segment`, () => {
    const host = newHost();
    const store = host.open();
    publish(store, 0, 10);
    while (consume(store) !== null);
    store.cool();
    host.commit.sync();
    assert.equal(host.files.openCount, 0);
    assert.deepEqual(segmentsOf(host), []);
    publish(store, 0, 10);
    assert.deepEqual(takeAll(store), numbers(0, 10));
  });

  test(`${kind}: nothing is made before the first message, everything is gone after destroy`, () => {
    const host = newHost();
    const store = host.open({ segmentBytesMin: 4096, segmentBytesMax: 4096 });
    assert.equal(existsSync(host.queueDirectory), false);
    publish(store, 0, 300);
    const message = new Message();
    for (let i = 0; i < 10; i++) store.next(message);
    store.settle(message.position, message.recordBytes, message.bodyBytes);
    host.commit.endTurn();
    publish(store, 0, 5);
    store.destroy();
    host.commit.endTurn();
    host.commit.sync();
    assert.equal(existsSync(host.queueDirectory), false);
    assert.equal(host.files.openCount, 0);
  });

  test(`${kind}: a full disk refuses the message and changes nothing`, () => {
    let full = false;
    const limited: SegmentFiles = {
      kind: files.kind,
      disk: files.disk,
      create: (path, capacity) => {
        if (full) throw new FileFault("create", path, "ENOSPC");
        return files.create(path, capacity);
      },
      open: (path) => files.open(path),
      prepare: (path, capacity) => files.prepare(path, capacity),
      close: () => files.close(),
    };
    const host = hostOf(limited);
    const store = host.open({ segmentBytesMin: 4096, segmentBytesMax: 4096 });
    full = true;
    assert.throws(() => store.append(messageOf("none")), FileFault);
    full = false;
    let count = 0;
    publish(store, 0, 1);
    full = true;
    for (count = 1; count < 1000; count++) {
      try {
        publish(store, count, count + 1);
      } catch (error) {
        assert.ok(error instanceof FileFault && error.code === "ENOSPC");
        break;
      }
    }
    assert.ok(count < 1000);
    assert.equal(store.readyCount, count);
    assert.equal(consume(store), "message 0");
    host.commit.endTurn();
    full = false;
    publish(store, count, count + 10);
    assert.deepEqual(takeAll(store), numbers(1, count + 10));
  });

  if (kind === "memory") continue;

  test(`${kind}: a backlog keeps only the files in use open`, () => {
    const host = newHost();
    const store = host.open({ segmentBytesMin: 4096, segmentBytesMax: 4096 });
    publish(store, 0, 3000);
    host.commit.endTurn();
    host.commit.sync();
    assert.ok(segmentsOf(host).length > 20);
    assert.ok(host.files.openCount <= 2, `${host.files.openCount} files are open`);
    const message = new Message();
    for (let i = 0; i < 1500; i++) store.next(message);
    host.commit.endTurn();
    host.commit.sync();
    assert.ok(host.files.openCount <= 4, `${host.files.openCount} files are open`);
  });

  test(`${kind}: a full-size segment comes from the pool and returns to it, once no sync refers to it`, () => {
    const host = newHost();
    const taken: string[] = [];
    const given: SegmentFile[] = [];
    host.pool = {
      segmentBytes: 4096,
      take: (path) => {
        taken.push(path);
        const file = given.pop() ?? null;
        file?.rename(path);
        return file;
      },
      give: (file) => {
        file.rename(join(host.directory, "spare"));
        given.push(file);
      },
    };
    const store = host.open({ segmentBytesMin: 4096, segmentBytesMax: 4096 });
    let next = 0;
    for (let i = 0; taken.length < 2; i++) publish(store, i, i + 1);
    for (let i = 0; i < 40; i++) assert.equal(consume(store), `message ${next++}`);
    host.commit.beginSync();
    assert.equal(given.length, 0);
    while (consume(store) !== null) next++;
    host.commit.endTurn();
    assert.equal(given.length, 0);
    // Of the second segment nothing was ever written.
    assert.deepEqual(segmentsOf(host).sort(), ["done.0000000001", "msgs.0000000002"]);
    host.commit.endSync();
    assert.equal(given.length, 1);
    publish(store, 0, 200);
    host.commit.endTurn();
    assert.equal(given.length, 0);
    assert.deepEqual(takeAll(store), numbers(0, 200));
  });

  test(`${kind}: the directories of a new segment are dirty, and closed by the sync`, () => {
    const host = newHost();
    const store = host.open();
    store.append(messageOf("first"));
    // The segment, the queue's directory, and the two above it, of which one is new as well.
    assert.equal(host.commit.dirtied.size, 4);
    host.commit.endTurn();
    host.commit.sync();
    store.append(messageOf("second"));
    host.commit.endTurn();
    assert.equal(host.commit.dirtied.size, 1);
    assert.equal(host.commit.lazy.size, 0);
    consume(store);
    host.commit.endTurn();
    assert.ok(host.commit.lazy.size > 0, "the acknowledgement log rides along");
  });

  test(`${kind}: memory is the same with 1,000,000 queued messages`, () => {
    const host = newHost();
    const store = host.open();
    const message = messageOf(new Uint8Array(16));
    publish(store, 0, 1000);
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 1_000_000; i++) {
      store.append(message);
      if (i % 4096 === 0) host.commit.endTurn();
    }
    host.commit.endTurn();
    const grown = process.memoryUsage().heapUsed - before;
    // An index of 16 bytes a message would be twice as much.
    assert.ok(grown < 8_000_000, `the heap grew by ${grown} bytes`);
    assert.equal(store.readyCount, 1_001_000);
    store.destroy();
  });
}
