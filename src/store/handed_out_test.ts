// Messages that consumers have before they are in a file: what of them is written, and a kill between any two writes.

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
  numbers,
  publish,
  restore,
  SMALL,
  takeAll,
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

function consumeAll(store: QueueStore): string[] {
  const bodies: string[] = [];
  for (let body = consume(store); body !== null; body = consume(store)) bodies.push(body);
  return bodies;
}

for (const kind of ["mapped", "plain"] as const) {
  const files = await filesOf(kind);
  if (files === null) continue;

  test(`${kind}: what comes and goes within a turn is not written, and what follows takes its place`, () => {
    const host = hostOf(files);
    const store = host.open();
    publish(store, 0, 8);
    host.commit.endTurn();
    host.commit.sync();
    for (let round = 0; round < 3; round++) {
      assert.equal(consume(store), `message ${round}`);
      host.commit.endTurn();
    }
    host.commit.sync();
    // The first of them are in the file, the others are not.
    publish(store, 8, 16);
    assert.deepEqual(consumeAll(store), numbers(3, 16));
    host.commit.endTurn();
    assert.equal(host.commit.dirtied.size, 0);
    assert.equal(host.commit.lazy.size, 1, "the acknowledgements of the first");
    host.commit.sync();
    for (let round = 0; round < 3; round++) {
      publish(store, 40, 48);
      assert.deepEqual(consumeAll(store), numbers(40, 48));
      assert.equal(store.mayWait, true);
      host.commit.endTurn();
      assert.equal(host.commit.dirtied.size + host.commit.lazy.size, 0);
    }
    publish(store, 60, 63);
    assert.equal(consume(store), "message 60");
    assert.equal(store.mayWait, true);
    host.commit.endTurn();
    assert.equal(host.commit.dirtied.size, 1);
    host.commit.sync();
    store.close();
    assert.deepEqual(takeAll(host.open()), numbers(61, 63));
  });

  test(`${kind}: what somebody holds is written at the end of the turn, and before anybody is sent it`, () => {
    const host = hostOf(files);
    const store = host.open();
    const message = new Message();
    publish(store, 0, 2);
    assert.equal(consume(store), "message 0");
    store.next(message);
    assert.equal(store.mayWait, false, "delivered and not settled");
    host.commit.endTurn();
    store.settle(message.position, message.recordBytes, message.bodyBytes);
    assert.equal(store.mayWait, false, "settled, and in the file");
    publish(store, 2, 4);
    host.commit.endTurn();
    store.close();
    assert.deepEqual(takeAll(host.open()), numbers(2, 4));
  });

  test(`${kind}: what consumers may settle before it is written is told of, and leaves no trace when they have`, () => {
    const host = hostOf(files);
    const store = host.open();
    const [first, second] = [new Message(), new Message()];
    const settle = ({ position, recordBytes, bodyBytes }: Message) => store.settle(position, recordBytes, bodyBytes);
    assert.equal(store.mayHold, false, "nothing to write");
    publish(store, 0, 1);
    host.commit.sync();
    const ends = [store.endPosition];
    publish(store, 1, 2);
    ends.push(store.endPosition);
    const settled = () => ends.map((end) => store.isSettledTo(end));
    store.next(first);
    assert.equal(store.mayHold, false, "one is ready");
    store.next(second);
    assert.deepEqual([store.mayHold, settled()], [true, [false, false]]);
    settle(second);
    assert.deepEqual([store.mayHold, settled()], [true, [false, false]]);
    settle(first);
    assert.deepEqual([store.mayHold, settled()], [true, [true, true]]);
    publish(store, 1, 2);
    store.next(second);
    assert.deepEqual([store.mayHold, settled()], [true, [true, true]], "more came behind them");
    settle(second);
    host.commit.endTurn();
    assert.equal(host.commit.dirtied.size + host.commit.lazy.size, 0);
    publish(store, 2, 3);
    store.next(first);
    const end = store.endPosition;
    host.commit.endTurn();
    assert.deepEqual([host.commit.dirtied.size, store.isSettledTo(end)], [1, false]);
    host.commit.sync();
    publish(store, 3, 4);
    store.next(second);
    assert.equal(store.mayHold, false, "an older one is held that is in the file");
    settle(first);
    assert.equal(store.mayHold, false, "the older one's acknowledgement is to be written");
    assert.equal(store.isSettledTo(end), false, "its message is in the file");
    host.commit.endTurn();
    store.close();
    assert.deepEqual(takeAll(host.open()), ["message 3"]);
  });

  test(`${kind}: a turn that settles more than waits for its end takes nothing back`, () => {
    const host = hostOf(files);
    const store = host.open({ segmentBytesMin: 4 * 1024 * 1024, segmentBytesMax: 4 * 1024 * 1024 });
    publish(store, 0, 20_000);
    const held: Message[] = [];
    for (let i = 0; i < 20_000; i++) {
      const message = new Message();
      store.next(message);
      held.push(message);
    }
    // Every other one, then the rest: as many ranges.
    for (const start of [0, 1]) {
      for (let i = start; i < held.length; i += 2) {
        const { position, recordBytes, bodyBytes } = held[i]!;
        store.settle(position, recordBytes, bodyBytes);
      }
    }
    host.commit.endTurn();
    publish(store, 0, 3);
    host.commit.endTurn();
    store.close();
    assert.deepEqual(takeAll(host.open()), numbers(0, 3));
  });

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
