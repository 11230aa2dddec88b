// What recovery makes of files that a disk does not give back, and of things that stand where its files should be.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Disk, systemDisk } from "../runtime/disk.ts";
import { FoundFile, readFound } from "./found_file.ts";
import {
  changed,
  consume,
  contentOf,
  filesOf,
  FIRST,
  FIRST_ACKS,
  five,
  HEADER,
  numbers,
  publish,
  readAndClose,
  restore,
  SMALL,
  TestHost,
  testHosts,
} from "./queue_store_testing.ts";

const hostOf = testHosts();
const files = (await filesOf("plain"))!;

/** Refuses bytes [from, to) of files whose name ends so. */
function badDisk(name: string, from: number, to: number): Disk {
  const bad = new Set<number>();
  return {
    ...systemDisk,
    open(path, flags) {
      const fd = systemDisk.open(path, flags);
      bad.delete(fd);
      if (path.endsWith(name)) bad.add(fd);
      return fd;
    },
    read(fd, bytes, to_, count, at) {
      if (bad.has(fd) && at < to && at + count > from) {
        if (at >= from) throw Object.assign(new Error("a bad sector"), { code: "EIO" });
        return systemDisk.read(fd, bytes, to_, from - at, at);
      }
      return systemDisk.read(fd, bytes, to_, count, at);
    },
  };
}

function hostOn(disk: Disk): TestHost {
  const { kind } = files;
  return hostOf({
    kind,
    disk,
    create: (path, capacity) => files.create(path, capacity),
    open: (path) => files.open(path),
    prepare: (path, capacity) => files.prepare(path, capacity),
    close: () => Promise.resolve(),
  });
}

test("what the disk refuses reads as zeros, page by page, and everything else as it is", () => {
  const host = hostOf(files);
  const path = join(host.directory, "file");
  const bytes = Uint8Array.from({ length: 20_000 }, (_, i) => 1 + i % 251);
  writeFileSync(path, bytes);
  const found = readFound(badDisk("file", 8192, 12_288), path)!;
  assert.deepEqual(found, bytes.slice().fill(0, 8192, 12_288));
  const file = FoundFile.open(badDisk("file", 8192, 12_288), path);
  const piece = new Uint8Array(100);
  file.read(8150, piece, 0, 100);
  assert.deepEqual(piece, bytes.slice(8150, 8250).fill(0, 42));
  assert.equal(file.unreadableBytes, 58);
  file.close();
  assert.equal(readFound(systemDisk, join(host.directory, "none")), null);
});

test("a bad sector costs the records on it, and the queue opens", () => {
  const host = hostOn(badDisk(FIRST, 4096, 8192));
  const store = host.open({ segmentBytesMin: 16_384, segmentBytesMax: 16_384 });
  publish(store, 100, 300);
  store.close();
  host.commit.sync();
  const bodies = readAndClose(host.open({ segmentBytesMin: 16_384, segmentBytesMax: 16_384 }));
  // Those that touch bytes 4096 to 8191.
  const [first, last] = [Math.floor((4096 - HEADER) / 56), Math.floor((8191 - HEADER) / 56)];
  assert.deepEqual(bodies, numbers(100, 300).filter((_, i) => i < first || i > last));
  assert.deepEqual(host.events.map(({ kind }) => kind), ["damaged-record"]);
});

test("an acknowledgement log on a bad sector brings messages back and loses none", () => {
  const host = hostOn(badDisk(FIRST_ACKS, 0, 4096));
  const store = host.open(SMALL);
  publish(store, 0, 5);
  for (let i = 0; i < 3; i++) consume(store);
  store.close();
  host.commit.sync();
  assert.deepEqual(readAndClose(host.open(SMALL)), numbers(0, 5));
});

test("what is not ours is left alone and told: files, folders and links called like ours, and dead links", () => {
  const host = hostOf(files);
  const { content } = five(host);
  restore(host, content);
  const at = (name: string) => join(host.queueDirectory, name);
  writeFileSync(at("notes.txt"), "mine");
  writeFileSync(at("msgs.9999999999"), "a number that no position has");
  writeFileSync(at("msgs.0000000000"), "");
  mkdirSync(at("msgs.0000000005"));
  mkdirSync(at("acks.0000000001"));
  mkdirSync(at("done.0000000003"));
  symlinkSync("/nowhere/at/all", at("msgs.0000000007"));
  for (let i = 0; i < 2; i++) {
    host.events.length = 0;
    assert.deepEqual(readAndClose(host.open(SMALL)), numbers(0, 5));
    const told = host.events.map(({ kind }) => kind);
    // Their acknowledgements cannot be written while something has the place of the log.
    assert.deepEqual(told, [...Array(7).fill("foreign-file"), "acks-delayed"]);
  }
  assert.equal(readdirSync(host.queueDirectory).length, 8);
  const store = host.open(SMALL);
  publish(store, 5, 6);
  store.close();
  assert.ok(existsSync(at("msgs.0000000008")), "numbers of what is in the way are not used");
  assert.equal(readFileSync(at("notes.txt"), "utf8"), "mine");
});

test("a segment whose header is gone is known by its acknowledgement log, and never removed while it holds something", () => {
  const host = hostOf(files);
  const { content } = five(host);
  restore(host, content);
  const store = host.open(SMALL);
  consume(store);
  store.close();
  host.commit.sync();
  const logged = contentOf(host);
  const zeroed = changed(logged, FIRST, (bytes) => bytes.fill(0, 0, HEADER));
  restore(host, zeroed);
  assert.deepEqual(readAndClose(host.open(SMALL)), numbers(1, 5));
  assert.deepEqual(host.events.map(({ kind }) => kind), ["damaged-header"]);
  zeroed.delete(FIRST_ACKS);
  restore(host, zeroed);
  assert.deepEqual(readAndClose(host.open(SMALL)), []);
  assert.deepEqual(host.events.map(({ kind }) => kind), ["foreign-segment"]);
  assert.deepEqual(new Uint8Array(readFileSync(join(host.queueDirectory, "quarantine", FIRST))), zeroed.get(FIRST));
});

test("damage in an acknowledgement log is told once, and the log is whole again", () => {
  const host = hostOf(files);
  const store = host.open(SMALL);
  publish(store, 0, 8);
  for (let i = 0; i < 5; i++) {
    consume(store);
    host.commit.endTurn();
  }
  store.close();
  host.commit.sync();
  const content = contentOf(host);
  for (const at of [3, 24 + 16 + 5]) {
    restore(host, changed(content, FIRST_ACKS, (bytes) => bytes[at]! ^= 1));
    writeFileSync(join(host.queueDirectory, `${FIRST_ACKS}.new`), "half");
    const expected = at === 3 ? numbers(5, 8) : ["message 1", ...numbers(5, 8)];
    const again = host.open(SMALL);
    assert.deepEqual(host.events.map(({ kind }) => kind), ["damaged-acks"]);
    assert.equal(consume(again), expected[0]);
    again.close();
    host.commit.sync();
    host.events.length = 0;
    assert.deepEqual(readAndClose(host.open(SMALL)), expected.slice(1));
    assert.deepEqual(host.events, []);
    assert.equal(existsSync(join(host.queueDirectory, `${FIRST_ACKS}.new`)), false);
  }
});

test("damage that has grown since it was kept is told again", () => {
  const host = hostOf(files);
  const { content } = five(host);
  const flip = (...records: number[]) =>
    changed(content, FIRST, (bytes) => records.forEach((record) => bytes[HEADER + record * 48 + 30]! ^= 4));
  restore(host, flip(1));
  host.open(SMALL).close();
  writeFileSync(join(host.queueDirectory, FIRST), flip(1, 2).get(FIRST)!);
  host.events.length = 0;
  assert.deepEqual(readAndClose(host.open(SMALL)), ["message 0", "message 3", "message 4"]);
  assert.deepEqual(host.events.map(({ bytes }) => bytes), [96]);
});

test("of a file that has become larger than any of ours is, the rest is not looked at", () => {
  const host = hostOf(files);
  const path = join(host.directory, "file");
  writeFileSync(path, "");
  truncateSync(path, 2 ** 30 + 4096);
  const found = FoundFile.open(systemDisk, path);
  const file = files.open(path);
  assert.deepEqual([found.capacity, file.capacity], [2 ** 30, 2 ** 30]);
  found.close();
  file.close();
});
