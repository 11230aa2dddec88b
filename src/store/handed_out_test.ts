// Messages that consumers have before they are in a file, and a kill between any two writes that follow.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { SegmentFile, SegmentFiles } from "../runtime/runtime.ts";
import { Message } from "./message.ts";
import type { QueueStore } from "./queue_store.ts";
import {
  bodyOf,
  consume,
  contentOf,
  filesOf,
  messageOf,
  publish,
  restore,
  SMALL,
  type TestHost,
  testHosts,
} from "./queue_store_testing.ts";

const hostOf = testHosts();

/** Tells of every write to a segment. */
function watched(files: SegmentFiles, onWrite: () => void): SegmentFiles {
  const watch = (file: SegmentFile): SegmentFile => {
    const write = file.write.bind(file);
    file.write = (at, source, from, count) => {
      write(at, source, from, count);
      onWrite();
    };
    return file;
  };
  return {
    kind: files.kind,
    disk: files.disk,
    create: (path, capacity) => watch(files.create(path, capacity)),
    open: (path) => watch(files.open(path)),
    prepare: async (path, capacity) => watch(await files.prepare(path, capacity)),
    close: () => files.close(),
  };
}

/** What `act` leaves behind if it is killed behind each of its writes to a segment: flags of what comes then, by body. */
function afterKills(files: SegmentFiles, act: (store: QueueStore, host: TestHost) => void): Map<string, boolean>[] {
  const contents: Map<string, Uint8Array>[] = [];
  let isActing = true;
  const host = hostOf(watched(files, () => {
    if (isActing) contents.push(contentOf(host));
  }));
  const store = host.open(SMALL);
  act(store, host);
  isActing = false;
  store.close();
  host.commit.sync();
  return contents.map((content) => {
    restore(host, content);
    const found = host.open(SMALL);
    const message = new Message();
    const flags = new Map<string, boolean>();
    while (found.next(message)) flags.set(bodyOf(message), message.redelivered);
    found.close();
    assert.deepEqual(host.events, [], "nothing of it looks like damage");
    return flags;
  });
}

for (const kind of ["mapped", "plain"] as const) {
  const files = await filesOf(kind);
  if (files === null) continue;

  test(`${kind}: what a consumer had before it was written comes again with its flag`, () => {
    const found = afterKills(files, (store, host) => {
      publish(store, 0, 3);
      assert.ok(store.next(new Message()));
      host.commit.endTurn();
    });
    const flags = found.map((flags) => flags.get("message 0")).filter((flag) => flag !== undefined);
    assert.ok(flags.length > 0, "it is in the file after one of the writes");
    assert.ok(flags.every((flag) => flag));
    assert.equal(found.at(-1)!.get("message 1"), false);
  });

  test(`${kind}: what a consumer settled before it was written does not come again`, () => {
    const found = afterKills(files, (store, host) => {
      publish(store, 0, 3);
      assert.equal(consume(store), "message 0");
      host.commit.endTurn();
    });
    assert.deepEqual([...found.at(-1)!.keys()], ["message 1", "message 2"]);
    assert.ok(found.every((flags) => !flags.has("message 0")));
  });

  test(`${kind}: the same where the end of a segment comes before that of the turn`, () => {
    const found = afterKills(files, (store, host) => {
      publish(store, 0, 2);
      assert.equal(consume(store), "message 0");
      assert.ok(store.next(new Message()));
      for (let i = 2; i < 6; i++) store.append(messageOf(`${i}`.padEnd(1500, ".")));
      assert.ok(store.segmentCount > 1);
      host.commit.endTurn();
    });
    const flags = found.map((flags) => flags.get("message 1")).filter((flag) => flag !== undefined);
    assert.ok(flags.length > 1, "it is in the file before the turn ends");
    assert.ok(flags.every((flag) => flag));
    assert.ok(found.every((flags) => !flags.has("message 0")));
  });
}
