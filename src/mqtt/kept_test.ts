// What MQTT keeps in stores of its own: retained messages and the identifiers of QoS 2, over restarts and in old segments.

import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryFiles } from "../runtime/memory_file.ts";
import { MESSAGE_EXPIRES } from "../store/message.ts";
import type { MessageStore } from "../store/message_store.ts";
import { bodyOf, filesOf, messageOf, testHosts } from "../store/queue_store_testing.ts";
import { type ReceivedId, ReceivedIds } from "./received_ids.ts";
import { RetainedMessages } from "./retained.ts";

const SEGMENT_BYTES = 64 * 1024;
const makeHost = testHosts();
const plain = (await filesOf("plain"))!;

const message = (key: string, body: string) => messageOf(body, `\x09amq.topic${String.fromCharCode(key.length)}${key}`);

function retainedIn(store: MessageStore, isThere: boolean, countMax = 100): RetainedMessages {
  return new RetainedMessages({
    open: () => store,
    isThere,
    segmentBytes: SEGMENT_BYTES,
    countMax,
    includeSettlements: () => {},
  });
}

const bodiesIn = (retained: RetainedMessages) =>
  retained.match("#").map(({ key }) => `${key} ${bodyOf(retained.read(key, 0)!)}`).sort();

test("a crash between a retained message and the end of the one before leaves both, and the later one counts", () => {
  const host = makeHost(plain);
  const store = host.open({ segmentBytesMax: SEGMENT_BYTES });
  const retained = retainedIn(store, false);
  retained.set("a", message("a", "old"));
  retained.set("b", message("b", "other"));
  // From here on nothing is settled any more.
  store.settle = () => {};
  retained.set("a", message("a", "new"));
  host.commit.endTurn();
  const again = retainedIn(host.open({ segmentBytesMax: SEGMENT_BYTES }), true);
  assert.deepEqual(bodiesIn(again), ["a new", "b other"]);
  again.set("a", message("a", ""));
  host.commit.endTurn();
  assert.deepEqual(bodiesIn(retainedIn(host.open({ segmentBytesMax: SEGMENT_BYTES }), true)), ["b other"]);
});

test("a retained message that stays while others come and go does not keep their segments", () => {
  const host = makeHost(new MemoryFiles());
  const store = host.open({ segmentBytesMax: SEGMENT_BYTES });
  const retained = retainedIn(store, false);
  for (let index = 0; index < 20; index++) retained.set(`stays.${index}`, message(`stays.${index}`, `x${index}`));
  let segmentsMax = 0;
  for (let round = 0; round < 400; round++) {
    retained.set("changes", message("changes", `${round} ${"z".repeat(4000)}`));
    host.commit.endTurn();
    segmentsMax = Math.max(segmentsMax, store.segmentCount);
  }
  assert.ok(segmentsMax <= 8, `${segmentsMax} segments for 1.6 MB that went through`);
  const stayed = retained.match("stays.*").map(({ key }) => bodyOf(retained.read(key, 0)!));
  assert.deepEqual(stayed.sort(), Array.from({ length: 20 }, (_, index) => `x${index}`).sort());
  assert.equal(retained.count, 21);
});

test("no more topics than may be have a retained message; those that have one go on", () => {
  const host = makeHost(new MemoryFiles());
  const retained = retainedIn(host.open(), false, 2);
  assert.deepEqual(["a", "b", "c"].map((key) => retained.set(key, message(key, "1"))), [true, true, false]);
  assert.equal(retained.set("a", message("a", "2")), true);
  assert.deepEqual(bodiesIn(retained), ["a 2", "b 1"]);
  retained.set("b", message("b", ""));
  assert.equal(retained.set("c", message("c", "3")), true);
});

test("one whose time is over is not taken up again", () => {
  const host = makeHost(plain);
  const retained = retainedIn(host.open(), false);
  const brief = messageOf("brief", "\x09amq.topic\x05brief", "\0\0\0\0\0\0\0\x05\x01\0\x041000");
  brief.flags |= MESSAGE_EXPIRES;
  brief.timestampMs = Date.now() - 10_000;
  retained.set("brief", brief);
  retained.set("long", message("long", "there"));
  host.commit.endTurn();
  const store = host.open();
  assert.deepEqual(bodiesIn(retainedIn(store, true)), ["long there"]);
  assert.equal(store.unackedCount, 1);
});

test("identifiers of QoS 2 are there again, those of sessions that are gone are not", () => {
  const host = makeHost(plain);
  const first = new ReceivedIds({ open: () => host.open(), isThere: false });
  const released = first.add("one", 1);
  first.add("one", 65_535);
  first.add("é two", 256);
  first.remove(released);
  host.commit.endTurn();
  for (const [isWanted, expected] of [[true, 2], [false, 1], [true, 1]] as const) {
    const store = host.open();
    const found: ReceivedId[] = [];
    new ReceivedIds({ open: () => store, isThere: true }).restore((received) => {
      found.push(received);
      return isWanted || received.clientId === "one";
    });
    assert.equal(store.unackedCount, expected);
    const seen = found.map(({ clientId, id, recovered }) => [clientId, id, recovered]);
    const all = [["one", 65_535, true], ["é two", 256, true]];
    assert.deepEqual(seen, isWanted && expected === 1 ? all.slice(0, 1) : all);
    host.commit.endTurn();
  }
});

test("an identifier that is never released does not keep the segments of all that came after it", () => {
  const host = makeHost(new MemoryFiles());
  const store = host.open({ segmentBytesMax: SEGMENT_BYTES });
  const ids = new ReceivedIds({ open: () => store, isThere: false });
  const stays = ids.add("stays", 7);
  let segmentsMax = 0;
  for (let round = 0; round < 20_000; round++) {
    ids.remove(ids.add("goes", round % 65_535 + 1));
    if (round % 100 === 0) host.commit.endTurn();
    segmentsMax = Math.max(segmentsMax, store.segmentCount);
  }
  assert.ok(segmentsMax <= 7, `${segmentsMax} segments`);
  assert.equal(store.unackedCount, 1);
  ids.remove(stays);
  assert.equal(store.unackedCount, 0);
});
