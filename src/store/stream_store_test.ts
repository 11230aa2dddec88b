import assert from "node:assert/strict";
import { test } from "node:test";
import { Message } from "./message.ts";
import { bodyOf, changed, contentOf, filesOf, restore, type TestHost, testHosts } from "./queue_store_testing.ts";
import { expected, fill, openStream, readFrom, readOn, streamMessage } from "./stream_store_testing.ts";

const newHost = testHosts();

async function plainHost(): Promise<TestHost> {
  return newHost((await filesOf("plain"))!);
}

for (const kind of ["mapped", "plain", "memory"] as const) {
  const files = await filesOf(kind);
  if (files === null) continue;

  test(`${kind}: every cursor reads everything, at its own pace, as often as it likes`, () => {
    const host = newHost(files);
    const stream = openStream(host);
    const [a, b] = [stream.cursor(), stream.cursor()];
    fill(stream, 0, 300);
    assert.deepEqual(readOn(a), expected(0, 300), "what is not written yet");
    host.commit.endTurn();
    fill(stream, 300, 500);
    assert.deepEqual(readOn(b, 350), expected(0, 350));
    assert.deepEqual(readOn(a), expected(300, 500));
    host.commit.endTurn();
    stream.cool();
    host.commit.sync();
    assert.deepEqual(readOn(b), expected(350, 500));
    assert.ok(stream.segmentCount > 3);
    for (const kind of ["first", "first"] as const) assert.deepEqual(readFrom(stream, { kind }), expected(0, 500));
    assert.equal(stream.messageCount, 500);
    stream.close();
  });
}

test("a cursor begins at the first, the last or the next message, at any offset, and so many before the end", async () => {
  const host = await plainHost();
  const stream = openStream(host);
  const early = stream.cursor();
  fill(stream, 0, 400);
  host.commit.endTurn();
  assert.deepEqual(readFrom(stream, { kind: "first" }, 1), expected(0, 1));
  assert.deepEqual(readFrom(stream, { kind: "last" }), expected(399, 400));
  const next = stream.cursor();
  next.seek({ kind: "next" });
  assert.deepEqual(readOn(next), []);
  for (const offset of [0, 1, 63, 64, 84, 85, 200, 398, 399]) {
    assert.deepEqual(readFrom(stream, { kind: "offset", offset }), expected(offset, 400), `${offset}`);
  }
  assert.deepEqual(readFrom(stream, { kind: "offset", offset: -3 }), expected(397, 400));
  assert.deepEqual(readFrom(stream, { kind: "offset", offset: -1000 }, 1), expected(0, 1), "no further than the first");
  assert.deepEqual(readFrom(stream, { kind: "offset", offset: 1000 }), [], "no further than the end");
  fill(stream, 400, 410);
  assert.deepEqual(readOn(next), expected(400, 410));
  assert.deepEqual(readOn(early), expected(0, 410));
  stream.close();
});

test("a cursor begins at a time, in whichever segment it is", async () => {
  const host = await plainHost();
  let stream = openStream(host);
  fill(stream, 1000, 1400);
  host.commit.endTurn();
  for (const again of [false, true]) {
    if (again) {
      stream.close();
      stream = openStream(host);
    }
    for (const timestampMs of [1000, 1063, 1085, 1086, 1250, 1399]) {
      const [first] = readFrom(stream, { kind: "timestamp", timestampMs }, 1);
      assert.deepEqual(first, [timestampMs - 1000, `message ${timestampMs}`]);
    }
    assert.equal(readFrom(stream, { kind: "timestamp", timestampMs: 5 }).length, 400);
    assert.equal(readFrom(stream, { kind: "timestamp", timestampMs: 1400 }).length, 0);
  }
  stream.close();
});

test("messages are found again by their place, while they are there", async () => {
  const host = await plainHost();
  const stream = openStream(host, { retention: { maxAgeMs: Infinity, maxBytes: Infinity, maxLength: 100 } });
  const cursor = stream.cursor();
  fill(stream, 0, 90);
  const message = new Message();
  assert.ok(cursor.next(message));
  const { position } = cursor;
  readOn(cursor);
  assert.ok(cursor.read(position, 0, message));
  assert.deepEqual([message.position, bodyOf(message)], [0, "message 0"]);
  host.commit.endTurn();
  fill(stream, 90, 400);
  host.commit.endTurn();
  assert.equal(cursor.read(position, 0, message), false);
  assert.deepEqual(readOn(cursor), expected(stream.firstOffset, 400), "retention has overtaken it");
  stream.close();
});

for (
  const [name, limits] of [
    ["length", { maxLength: 200 }],
    ["bytes", { maxBytes: 200 * 48 }],
    ["age", { maxAgeMs: 200 }],
  ] as const
) {
  test(`beyond its ${name} a stream loses whole segments, and its offsets go on, also over a restart`, async () => {
    const host = await plainHost();
    const retention = { maxAgeMs: Infinity, maxBytes: Infinity, maxLength: Infinity, ...limits };
    let stream = openStream(host, { retention });
    for (let i = 0; i < 1000; i++) {
      host.nowMs = i;
      fill(stream, i, i + 1);
      host.commit.endTurn();
    }
    stream.retain(host.nowMs);
    const { firstOffset } = stream;
    assert.ok(firstOffset >= 725 && firstOffset <= 900, `${firstOffset}`);
    assert.deepEqual(readFrom(stream, { kind: "first" }), expected(firstOffset, 1000));
    stream.close();
    host.commit.sync();
    assert.equal(host.files.openCount, 0);
    stream = openStream(host, { retention });
    assert.deepEqual(readFrom(stream, { kind: "first" }), expected(firstOffset, 1000));
    assert.equal(stream.append(streamMessage("more", 1001)), 1000);
    host.commit.endTurn();
    assert.deepEqual(readFrom(stream, { kind: "offset", offset: -2 }), [[999, "message 999"], [1000, "more"]]);
    host.nowMs = 1_000_000;
    stream.retain(host.nowMs);
    if (name === "age") assert.deepEqual(readFrom(stream, { kind: "first" }), [[1000, "more"]]);
    stream.close();
    host.commit.sync();
    stream = openStream(host, { retention });
    assert.equal(stream.nextOffset, 1001);
    assert.deepEqual(host.events, []);
    stream.close();
  });
}

test("age counts from when a message came, not from when a later process went on", async () => {
  const host = await plainHost();
  const retention = { maxAgeMs: 1000, maxBytes: Infinity, maxLength: Infinity };
  host.nowMs = 99;
  fill(openStream(host, { retention }), 0, 100);
  host.commit.endTurn();
  host.nowMs = 5000;
  fill(openStream(host, { retention }), 5000, 5010);
  host.commit.endTurn();
  const stream = openStream(host, { retention });
  assert.equal(stream.messageCount, 110);
  stream.retain(5010);
  assert.equal(stream.firstOffset, 100, "all of the first process is too old");
  assert.equal(stream.messageCount, 10);
  stream.close();
});

test("a flipped bit costs its own message, at every place of the first segment", { timeout: 60_000 }, async () => {
  const host = await plainHost();
  let stream = openStream(host);
  fill(stream, 0, 200);
  host.commit.endTurn();
  stream.close();
  host.commit.sync();
  const content = contentOf(host);
  for (const name of ["msgs.0000000001", "msgs.0000000003"]) {
    for (let at = 64; at < 64 + 48 * 30; at += 7) {
      restore(host, changed(content, name, (bytes) => bytes[at]! ^= 0x10));
      stream = openStream(host);
      const found = readFrom(stream, { kind: "first" });
      const lost = name === "msgs.0000000001"
        ? indexAt(content, name, at)
        : 200 - countIn(content, name) + indexAt(content, name, at);
      assert.deepEqual(found, expected(0, 200).filter(([offset]) => offset !== lost), `${name} ${at}`);
      assert.deepEqual(host.events.map(({ kind }) => kind), ["damaged-record"]);
      assert.equal(stream.append(streamMessage("more", 1)), 200, "no offset is given twice");
      stream.close();
      host.commit.sync();
    }
  }
});

/** Records in a segment that begin before `end`. */
function countIn(content: ReadonlyMap<string, Uint8Array>, name: string, end = Infinity): number {
  const bytes = content.get(name)!;
  let count = 0;
  for (let at = 64; at < end && at + 48 <= bytes.length && bytes[at + 4] !== 0; count++) {
    at += (bytes[at + 4]! + 7) & ~7;
  }
  return count;
}

function indexAt(content: ReadonlyMap<string, Uint8Array>, name: string, at: number): number {
  return countIn(content, name, at + 1) - 1;
}

test("several damaged messages of a segment cost their own offsets, and no others", async () => {
  const host = await plainHost();
  let stream = openStream(host);
  fill(stream, 0, 200);
  host.commit.endTurn();
  stream.close();
  host.commit.sync();
  const content = contentOf(host);
  // Of the first segment, whose records are all as long.
  const damage = (bytes: Uint8Array): void => {
    for (const index of [1, 6, 7, 40]) bytes[64 + index * 48 + 40]! ^= 1;
  };
  restore(host, changed(content, "msgs.0000000001", damage));
  stream = openStream(host);
  // Of two that lie side by side nobody can tell that they were two: those in front of them take the later offsets.
  const offsets = readFrom(stream, { kind: "first" }).map(([offset, body]) => offset - Number(body.split(" ")[1]));
  assert.deepEqual(offsets, [0, ...Array(4).fill(1), ...Array(191).fill(0)]);
  stream.close();
});

test("a damaged header does not cost the offsets, nor what follows", async () => {
  const host = await plainHost();
  let stream = openStream(host);
  fill(stream, 0, 400);
  host.commit.endTurn();
  stream.close();
  host.commit.sync();
  const content = contentOf(host);
  const names = [...content.keys()].filter((name) => name.startsWith("msgs."));
  for (const name of names) {
    restore(host, changed(content, name, (bytes) => bytes[17]! ^= 1));
    stream = openStream(host);
    assert.deepEqual(readFrom(stream, { kind: "first" }), expected(0, 400), name);
    assert.equal(stream.nextOffset, 400);
    stream.close();
  }
});

test("what was cut at any byte of the last record is taken as never written", async () => {
  const host = await plainHost();
  let stream = openStream(host);
  fill(stream, 0, 10);
  host.commit.endTurn();
  stream.close();
  host.commit.sync();
  const content = contentOf(host);
  const last = 64 + 9 * 48;
  for (let cut = last; cut < last + 48; cut++) {
    restore(host, changed(content, "msgs.0000000001", (bytes) => bytes.fill(0, cut, last + 48)));
    stream = openStream(host);
    const whole = bodyIsWhole(content.get("msgs.0000000001")!, cut, last + 48);
    assert.deepEqual(readFrom(stream, { kind: "first" }), expected(0, whole ? 10 : 9), `${cut - last}`);
    const offset = stream.append(streamMessage("again", 5));
    assert.equal(offset, whole ? 10 : 9);
    host.commit.endTurn();
    stream.close();
    host.commit.sync();
    stream = openStream(host);
    assert.equal(readFrom(stream, { kind: "last" })[0]![1], "again");
    stream.close();
  }
});

/** Cut where only zeros follow. */
function bodyIsWhole(bytes: Uint8Array, from: number, to: number): boolean {
  return bytes.subarray(from, to).every((byte) => byte === 0);
}

test("a stream that is not used holds no file, and its cursors go on", async () => {
  const host = await plainHost();
  const stream = openStream(host);
  fill(stream, 0, 300);
  host.commit.endTurn();
  const cursor = stream.cursor();
  assert.deepEqual(readOn(cursor, 100), expected(0, 100));
  host.commit.sync();
  assert.ok(host.files.openCount <= 2, "the cursor's and the tail's");
  stream.cool();
  host.commit.sync();
  assert.equal(host.files.openCount, 0);
  fill(stream, 300, 310);
  assert.deepEqual(readOn(cursor), expected(100, 310));
  host.commit.endTurn();
  cursor.close();
  stream.destroy();
  host.commit.sync();
  assert.equal(host.files.openCount, 0);
});
