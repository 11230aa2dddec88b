import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { xxh32 } from "./checksum.ts";
import { Message } from "./message.ts";
import {
  bodyOf,
  changed,
  consume,
  contentOf,
  filesOf,
  FIRST,
  FIRST_ACKS,
  five,
  messageOf,
  numbers,
  publish,
  readAndClose,
  restore,
  SMALL,
  takeAll,
  testHosts,
} from "./queue_store_testing.ts";
import { StoreFault } from "./store_event.ts";

const hostOf = testHosts();

for (const kind of ["mapped", "plain"] as const) {
  const files = await filesOf(kind);
  if (files === null) continue;

  test(`${kind}: after a crash a queue is what it was at the end of its last turn`, () => {
    const host = hostOf(files);
    let store = host.open(SMALL);
    const message = new Message();
    let expected: string[] = [];
    let next = 0;
    let requeued = 0;
    for (let crash = 0; crash < 30; crash++) {
      assert.equal(store.readyCount, expected.length);
      assert.equal(store.readyBytes, expected.reduce((sum, body) => sum + body.length, 0));
      publish(store, next, next + 20 + crash);
      expected.push(...numbers(next, next += 20 + crash));
      // Takes some, settles every second of them, requeues one.
      const kept: string[] = [];
      for (let i = 0; i < 15; i++) {
        assert.ok(store.next(message));
        assert.equal(bodyOf(message), expected[i]);
        if (i % 2 === 0) store.settle(message.position, message.recordBytes, message.bodyBytes);
        else kept.push(bodyOf(message));
        if (i === 7) requeued = message.position;
      }
      store.requeue(requeued, kept[3]!.length);
      host.commit.endTurn();
      if (crash % 4 === 3) assert.equal(store.purge(), expected.length - 15 + 1);
      host.commit.endTurn();
      expected = crash % 4 === 3 ? kept.filter((_, i) => i !== 3) : [...kept, ...expected.slice(15)];
      if (crash % 5 === 0) store.cool();
      if (crash % 3 === 0) store.close();
      store = host.open(SMALL);
    }
    assert.deepEqual(readAndClose(store), expected);
    assert.deepEqual(host.events, []);
  });

  test(`${kind}: messages that an earlier process may have delivered are flagged redelivered`, () => {
    const host = hostOf(files);
    const first = host.open(SMALL);
    publish(first, 0, 200);
    const message = new Message();
    const positions: number[] = [];
    for (let i = 0; i < 120; i++) {
      first.next(message);
      positions.push(message.position);
      if (i < 100) first.settle(message.position, message.recordBytes, message.bodyBytes);
    }
    for (let i = 110; i < 120; i++) first.requeue(positions[i]!, 9);
    host.commit.endTurn();
    const second = host.open(SMALL);
    assert.equal(second.readyCount, 100);
    for (let i = 100; i < 200; i++) {
      second.next(message);
      assert.equal(bodyOf(message), `message ${i}`);
      assert.equal(message.redelivered, i < 120, `message ${i}`);
    }
  });

  test(`${kind}: where the power may have taken the notes of deliveries, what lay there is flagged, what came since not`, () => {
    const host = hostOf(files);
    publish(host.open(SMALL), 0, 10);
    host.commit.endTurn();
    host.unsureBeforeMs = Infinity;
    publish(host.open(SMALL), 10, 20);
    host.commit.endTurn();
    host.unsureBeforeMs = host.nowMs + 1;
    host.nowMs += 2;
    publish(host.open(SMALL), 20, 30);
    host.commit.endTurn();
    const store = host.open(SMALL);
    const message = new Message();
    for (let i = 0; i < 30; i++) {
      store.next(message);
      assert.equal(bodyOf(message), `message ${i}`);
      assert.equal(message.redelivered, i < 20, `message ${i}`);
    }
  });

  test(`${kind}: deliveries that are settled in their turn leave no mark`, () => {
    const host = hostOf(files);
    const first = host.open(SMALL);
    publish(first, 0, 10);
    for (let i = 0; i < 4; i++) consume(first);
    host.commit.endTurn();
    const acks = readFileSync(join(host.queueDirectory, FIRST_ACKS));
    assert.equal(acks.length, 24 + 16);
    assert.deepEqual(takeAll(host.open(SMALL)), numbers(4, 10));
  });

  test(`${kind}: what was not flushed is gone, and nothing else`, () => {
    const host = hostOf(files);
    const store = host.open();
    publish(store, 0, 10);
    host.commit.endTurn();
    publish(store, 10, 20);
    assert.deepEqual(takeAll(host.open()), numbers(0, 10));
  });

  test(`${kind}: what is appended after a restart comes after what was left, and unacked messages stay unacked`, () => {
    const host = hostOf(files);
    const first = host.open(SMALL);
    publish(first, 0, 100);
    host.commit.endTurn();
    const store = host.open(SMALL);
    const message = new Message();
    store.next(message);
    const { position } = message;
    while (consume(store) !== null);
    // Every segment but the first, with the unacked one, is gone now.
    host.commit.endTurn();
    publish(store, 100, 105);
    assert.deepEqual(takeAll(store), numbers(100, 105));
    store.requeue(position, 9);
    assert.deepEqual(takeAll(store), numbers(0, 1));
  });

  test(`${kind}: messages that are not persistent end with the process`, () => {
    const host = hostOf(files);
    const first = host.open(SMALL);
    for (let i = 0; i < 200; i++) {
      const message = messageOf(`message ${i}`);
      message.flags = i % 3 === 0 && i < 100 ? 1 : 0;
      first.append(message);
    }
    host.commit.endTurn();
    first.cool();
    assert.equal(first.readyCount, 200);
    const store = host.open(SMALL);
    assert.equal(store.readyCount, 34);
    assert.deepEqual(readAndClose(store), numbers(0, 100).filter((_, i) => i % 3 === 0));
  });

  test(`${kind}: segments that are settled are gone after a restart, numbers are not used again`, () => {
    const host = hostOf(files);
    const store = host.open(SMALL);
    publish(store, 0, 100);
    host.commit.endTurn();
    const content = contentOf(host);
    for (let i = 0; i < 99; i++) consume(store);
    store.close();
    const last = [...content.keys()].filter((name) => name.startsWith("msgs")).sort().at(-1)!;
    const again = host.open(SMALL);
    assert.deepEqual([...contentOf(host).keys()].filter((name) => name.startsWith("msgs")), [last]);
    again.append(messageOf("new"));
    host.commit.endTurn();
    const names = [...contentOf(host).keys()].filter((name) => name.startsWith("msgs")).sort();
    assert.equal(Number(names[1]!.slice(5)), Number(last.slice(5)) + 1);
    assert.deepEqual(readAndClose(again), ["message 99", "new"]);
  });

  test(`${kind}: records of a recycled file's earlier life never come back`, () => {
    const host = hostOf(files);
    const old = host.open(SMALL);
    publish(old, 0, 60);
    host.commit.endTurn();
    old.close();
    const earlier = contentOf(host).get(FIRST)!;
    restore(host, new Map());
    let made = 0;
    host.pool = {
      segmentBytes: 4096,
      take: (path) => {
        writeFileSync(path, earlier);
        made++;
        return host.files.open(path);
      },
      give: (file) => file.close(),
    };
    const store = host.open(SMALL);
    for (let i = 0; i < 5; i++) {
      store.append(messageOf(`new ${i}`));
      host.commit.endTurn();
      assert.deepEqual(takeAll(host.open(SMALL)), Array.from({ length: i + 1 }, (_, j) => `new ${j}`));
    }
    assert.equal(made, 1);
    assert.deepEqual(host.events, []);
    // The crash came before the new header: the file still says who it was.
    restore(host, new Map([["msgs.0000000009", earlier]]));
    assert.deepEqual(takeAll(host.open(SMALL)), []);
    assert.deepEqual(host.events.map(({ kind }) => kind), ["unbegun-segment"]);
    assert.equal(existsSync(join(host.queueDirectory, "msgs.0000000009")), false);
    assert.equal(existsSync(join(host.queueDirectory, "quarantine")), false);
    // Where it cannot have been that it is kept.
    restore(host, new Map([["msgs.0000000009", earlier], ["msgs.0000000010", earlier]]));
    assert.deepEqual(takeAll(host.open(SMALL)), []);
    assert.deepEqual(host.events.map(({ kind }) => kind), ["foreign-segment", "foreign-segment"]);
    assert.ok(existsSync(join(host.queueDirectory, "quarantine", "msgs.0000000009")));
    // A second one of the same name takes nobody's place.
    writeFileSync(join(host.queueDirectory, "msgs.0000000009"), earlier);
    host.pool = null;
    assert.deepEqual(takeAll(host.open(SMALL)), []);
    assert.deepEqual(readdirSync(join(host.queueDirectory, "quarantine")).sort(), [
      "msgs.0000000009",
      "msgs.0000000009-2",
      "msgs.0000000010",
    ]);
  });

  test(`${kind}: a last record that is damaged in a recycled file is found, at any byte`, () => {
    const host = hostOf(files);
    const junk = new Uint8Array(4096).fill(0x5a);
    host.pool = {
      segmentBytes: 4096,
      take: (path) => {
        writeFileSync(path, junk);
        return host.files.open(path);
      },
      give: (file) => file.close(),
    };
    const { content, last, end } = five(host);
    restore(host, content);
    assert.deepEqual(readAndClose(host.open(SMALL)), numbers(0, 5));
    assert.deepEqual(host.events, [], "what it was before is no damage");
    for (let at = last; at < end; at++) {
      restore(host, changed(content, FIRST, (bytes) => bytes[at]! ^= 0x20));
      assert.deepEqual(readAndClose(host.open(SMALL)), numbers(0, 4));
      assert.deepEqual(host.events.map(({ kind }) => kind), ["torn-tail"], `byte ${at - last}`);
    }
    // Full to the last byte.
    const store = host.open(SMALL);
    publish(store, 10, 10 + 83);
    store.append(messageOf("x".repeat(2000)));
    store.close();
    host.events.length = 0;
    assert.equal(host.open(SMALL).readyCount, 4 + 84);
    assert.deepEqual(host.events, []);
  });

  test(`${kind}: a log of another life, or without a segment, is removed`, () => {
    const host = hostOf(files);
    const { content } = five(host);
    const store = host.open(SMALL);
    for (let i = 0; i < 3; i++) consume(store);
    store.close();
    const acks = contentOf(host).get(FIRST_ACKS)!;
    restore(host, new Map());
    const other = host.open(SMALL);
    publish(other, 10, 15);
    host.commit.endTurn();
    other.close();
    const crossed = contentOf(host);
    crossed.set(FIRST_ACKS, acks);
    crossed.set("acks.0000000077", acks);
    restore(host, crossed);
    assert.deepEqual(readAndClose(host.open(SMALL)), numbers(10, 15));
    assert.ok(host.events.some(({ kind }) => kind === "orphan-log"));
    assert.equal(existsSync(join(host.queueDirectory, "acks.0000000077")), false);
    assert.ok(content.size === 1);
  });

  test(`${kind}: an unknown version is refused by name, of segments and of logs`, () => {
    const host = hostOf(files);
    const { content } = five(host);
    const store = host.open(SMALL);
    consume(store);
    store.close();
    const logged = contentOf(host);
    for (const name of [FIRST, FIRST_ACKS]) {
      restore(
        host,
        changed(name === FIRST ? content : logged, name, (bytes) => resealVersion(bytes, name === FIRST ? 60 : 20)),
      );
      assert.throws(() => host.open(SMALL), (error) => {
        assert.ok(error instanceof StoreFault);
        assert.match(error.message, new RegExp(`${name}: version 1 .* expected, 2 was found`));
        return true;
      });
    }
  });

  test(`${kind}: files that a crash left half made are cleared away`, () => {
    const host = hostOf(files);
    const { content } = five(host);
    const left = new Map(content);
    left.set("msgs.0000000002", new Uint8Array(0));
    left.set("msgs.0000000003", new Uint8Array(4096));
    left.set("done.0000000004", content.get(FIRST)!);
    restore(host, left);
    assert.deepEqual(readAndClose(host.open(SMALL)), numbers(0, 5));
    assert.deepEqual(host.events.map(({ kind }) => kind), ["empty-segment", "empty-segment"]);
    assert.deepEqual([...contentOf(host).keys()].filter((name) => !name.startsWith("acks")), [FIRST]);
  });

  test(`${kind}: a part of an acknowledgement never becomes a whole one`, () => {
    const host = hostOf(files);
    const store = host.open(SMALL);
    publish(store, 0, 2);
    consume(store);
    host.commit.endTurn();
    store.close();
    host.commit.sync();
    const content = contentOf(host);
    // The power takes the entry's last bytes, which are zeros. When it goes again, the file has grown, and that is all.
    content.set(FIRST_ACKS, content.get(FIRST_ACKS)!.slice(0, -3));
    restore(host, content);
    const again = host.open(SMALL);
    const onMedium = contentOf(host);
    assert.deepEqual(readAndClose(again), numbers(0, 2));
    host.commit.sync();
    const grown = new Uint8Array(contentOf(host).get(FIRST_ACKS)!.length);
    grown.set(onMedium.get(FIRST_ACKS)!);
    restore(host, onMedium.set(FIRST_ACKS, grown));
    assert.deepEqual(readAndClose(host.open(SMALL)), numbers(0, 2));
  });

  test(`${kind}: acknowledgements that find a full disk are kept and written later`, (t) => {
    if (!existsSync("/dev/full")) return t.skip("there is no /dev/full");
    const host = hostOf(files);
    const store = host.open(SMALL);
    publish(store, 0, 10);
    host.commit.endTurn();
    const acks = join(host.queueDirectory, FIRST_ACKS);
    symlinkSync("/dev/full", acks);
    for (let i = 0; i < 5; i++) {
      consume(store);
      host.commit.endTurn();
    }
    assert.deepEqual(host.events.map(({ kind }) => kind), ["acks-delayed"]);
    unlinkSync(acks);
    writeFileSync(acks, "");
    store.cool();
    consume(store);
    host.commit.endTurn();
    assert.deepEqual(takeAll(host.open(SMALL)), numbers(6, 10));
  });
}

function resealVersion(bytes: Uint8Array, checksumAt: number): void {
  bytes[4] = 2;
  new DataView(bytes.buffer).setInt32(checksumAt, xxh32(bytes, 0, checksumAt, 0), true);
}
