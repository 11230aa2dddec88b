import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Message } from "./message.ts";
import {
  bodyOf,
  changed,
  contentOf,
  filesOf,
  FIRST,
  FIRST_ACKS,
  five,
  HEADER,
  messageOf,
  numbers,
  publish,
  readAndClose,
  RECORD,
  restore,
  SMALL,
  takeAll,
  testHosts,
} from "./queue_store_testing.ts";
import { readSegmentHeader } from "./segment.ts";
import { StoreFault } from "./store_event.ts";

const hostOf = testHosts();

for (const kind of ["mapped", "plain"] as const) {
  const files = await filesOf(kind);
  if (files === null) continue;

  test(`${kind}: a last record that is cut, zeroed or garbled at any byte is cut, and all before it are there`, {
    timeout: 60_000,
  }, () => {
    const host = hostOf(files);
    const { content, last, end } = five(host);
    for (let at = last; at < end; at++) {
      const cut = changed(content, FIRST, () => {});
      cut.set(FIRST, content.get(FIRST)!.slice(0, at));
      const variants = [
        cut,
        changed(content, FIRST, (bytes) => bytes.fill(0, at, end)),
        changed(content, FIRST, (bytes) => {
          for (let i = at; i < end; i++) bytes[i]! ^= 1 + (i * 37 + at) % 255;
        }),
        changed(content, FIRST, (bytes) => bytes[at]! ^= 0x41),
      ];
      for (const [index, variant] of variants.entries()) {
        restore(host, variant);
        // Zeroing zeros (the padding) changes nothing.
        const same = index === 1 && Buffer.compare(variant.get(FIRST)!, content.get(FIRST)!) === 0;
        const store = host.open(SMALL);
        assert.equal(store.readyCount, same ? 5 : 4);
        assert.deepEqual(takeAll(store), numbers(0, same ? 5 : 4), `variant ${index} at ${at - last}`);
        // What comes next never lands behind the torn tail.
        if (at === last + 9) {
          store.append(messageOf("next"));
          host.commit.endTurn();
          assert.deepEqual(takeAll(store), ["next"]);
          assert.deepEqual(takeAll(host.open(SMALL)), [...numbers(0, 4), "next"]);
        }
        store.close();
        host.commit.sync();
      }
    }
  });

  test(
    `${kind}: a flipped bit anywhere in a segment costs at most the record that it hits`,
    { timeout: 60_000 },
    () => {
      const host = hostOf(files);
      const { content, end } = five(host);
      const record = (end - HEADER) / 5;
      const step = kind === "plain" ? 3 : 7;
      for (let bit = 0; bit < (end + 16) * 8; bit += step) {
        restore(host, changed(content, FIRST, (bytes) => bytes[bit >>> 3]! ^= 1 << (bit & 7)));
        const hit = Math.floor(((bit >>> 3) - HEADER) / record);
        const bodies = readAndClose(host.open(SMALL));
        assert.deepEqual(bodies, numbers(0, 5).filter((_, i) => i !== hit), `bit ${bit}`);
        if (bit >>> 3 < end) {
          assert.equal(host.events.length, 1, `bit ${bit} was told: ${JSON.stringify(host.events)}`);
          const { kind } = host.events[0]!;
          assert.equal(kind, hit < 0 ? "damaged-header" : hit === 4 ? "torn-tail" : "damaged-record");
        }
        host.commit.sync();
      }
    },
  );

  test(`${kind}: damage is kept in quarantine and told once`, () => {
    const host = hostOf(files);
    const { content, end } = five(host);
    const record = (end - HEADER) / 5;
    restore(host, changed(content, FIRST, (bytes) => bytes[HEADER + record + 30]! ^= 4));
    const from = HEADER + record;
    host.open(SMALL).close();
    assert.deepEqual(host.events.map(({ kind, offset, bytes }) => [kind, offset, bytes]), [
      ["damaged-record", from, record],
    ]);
    const kept = readFileSync(join(host.queueDirectory, "quarantine", `${FIRST}.${from}`));
    assert.equal(kept.length, record);
    assert.equal(kept[30], content.get(FIRST)![from + 30]! ^ 4);
    host.events.length = 0;
    assert.deepEqual(readAndClose(host.open(SMALL)), numbers(0, 5).filter((_, i) => i !== 1));
    assert.deepEqual(host.events, []);
  });

  test(`${kind}: a damaged last record of a segment that another followed is damage, not a torn tail`, () => {
    const host = hostOf(files);
    const store = host.open(SMALL);
    publish(store, 0, 100);
    host.commit.endTurn();
    store.close();
    const header = readSegmentHeader(contentOf(host).get("msgs.0000000002")!);
    assert.ok(header.kind === "intact");
    const end = header.header.previousEnd;
    // The length of the last record: nothing of it can be recognised any more.
    const content = contentOf(host);
    const size = RECORD;
    assert.equal((end - HEADER) % RECORD, 0);
    restore(host, changed(content, FIRST, (bytes) => bytes[end - size + 4]! ^= 0x80));
    const again = host.open(SMALL);
    assert.equal(again.readyCount, 99);
    assert.ok(host.events.some(({ kind, offset }) => kind === "damaged-record" && offset === end - size));
    again.close();
  });

  test(
    `${kind}: a flipped bit anywhere in an acknowledgement log loses nothing that is unsettled`,
    { timeout: 60_000 },
    () => {
      const host = hostOf(files);
      const store = host.open(SMALL);
      publish(store, 0, 8);
      const message = new Message();
      for (let i = 0; i < 6; i++) {
        store.next(message);
        if (i !== 2) store.settle(message.position, message.recordBytes, message.bodyBytes);
        host.commit.endTurn();
      }
      store.close();
      const content = contentOf(host);
      const length = content.get(FIRST_ACKS)!.length;
      const rest = ["message 2", "message 6", "message 7"];
      for (let bit = 0; bit < length * 8; bit += kind === "plain" ? 3 : 5) {
        restore(host, changed(content, FIRST_ACKS, (bytes) => bytes[bit >>> 3]! ^= 1 << (bit & 7)));
        const bodies = readAndClose(host.open(SMALL));
        assert.deepEqual(bodies, numbers(0, 8).filter((body) => bodies.includes(body)), "in order, once");
        for (const body of rest) assert.ok(bodies.includes(body), `bit ${bit}: ${bodies}`);
        assert.ok(bodies.length <= rest.length + 1, `bit ${bit}: one entry at most is lost: ${bodies}`);
        host.commit.sync();
      }
      for (let cut = 0; cut < length; cut++) {
        restore(host, new Map(content).set(FIRST_ACKS, content.get(FIRST_ACKS)!.slice(0, cut)));
        const again = host.open(SMALL);
        const bodies = takeAll(again);
        for (const body of rest) assert.ok(bodies.includes(body), `cut at ${cut}`);
        // The log goes on from there.
        again.settle(2 ** 27 + (HEADER + 2 * RECORD) / 8, RECORD, 9);
        again.close();
        host.commit.sync();
        const last = readAndClose(host.open(SMALL));
        assert.deepEqual(last, bodies.filter((body) => body !== "message 2"), `cut at ${cut}`);
      }
    },
  );

  test(`${kind}: damage met while running is stepped over, told, and the counts are right`, () => {
    const host = hostOf(files);
    const store = host.open(SMALL);
    publish(store, 0, 300);
    host.commit.endTurn();
    store.cool();
    host.commit.sync();
    const names = [...contentOf(host).keys()].filter((name) => name.startsWith("msgs")).sort();
    // The second record of each segment: its body, or its length.
    const lost = new Set<string>();
    for (const [index, name] of names.entries()) {
      const path = join(host.queueDirectory, name);
      const bytes = readFileSync(path);
      const at = HEADER + (bytes.readUInt32LE(HEADER + 4) + 7 & ~7);
      lost.add(bytes.toString("latin1", at + 38, at + bytes.readUInt32LE(at + 4)));
      bytes[at + (index % 2 === 0 ? 40 : 5)]! ^= 0x10;
      writeFileSync(path, bytes);
    }
    const message = new Message();
    const bodies: string[] = [];
    while (store.next(message)) {
      bodies.push(bodyOf(message));
      store.settle(message.position, message.recordBytes, message.bodyBytes);
      if (bodies.length % 10 === 0) host.commit.endTurn();
    }
    assert.equal(lost.size, names.length);
    assert.deepEqual(bodies, numbers(0, 300).filter((body) => !lost.has(body)));
    assert.equal(store.readyCount, 0);
    assert.equal(store.readyBytes, 0);
    assert.equal(host.events.filter(({ kind }) => kind === "damaged-record").length, names.length);
    store.cool();
    assert.equal(contentOf(host).size, 0);
  });

  test(`${kind}: a requeued message that was damaged meanwhile is dropped and told`, () => {
    const host = hostOf(files);
    const store = host.open(SMALL);
    publish(store, 0, 3);
    const message = new Message();
    store.next(message);
    const { position } = message;
    host.commit.endTurn();
    store.cool();
    const path = join(host.queueDirectory, FIRST);
    const bytes = readFileSync(path);
    bytes[HEADER + 40]! ^= 1;
    writeFileSync(path, bytes);
    assert.throws(() => store.read(position, message), StoreFault);
    store.requeue(position, 9);
    assert.deepEqual(takeAll(store), numbers(1, 3));
    assert.equal(store.readyCount, 0);
    assert.equal(host.events.length, 1);
    host.commit.endTurn();
    assert.deepEqual(takeAll(host.open(SMALL)), numbers(1, 3));
  });
}
