import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { filesOf, type TestHost, testHosts } from "./queue_store_testing.ts";
import type { StreamStore } from "./stream_store.ts";
import { fill, openStream } from "./stream_store_testing.ts";

const newHost = testHosts();

async function plainHost(): Promise<TestHost> {
  return newHost((await filesOf("plain"))!);
}

function reopen(host: TestHost, stream: StreamStore): StreamStore {
  stream.close();
  host.commit.sync();
  return openStream(host);
}

test("named consumers are remembered over restarts, each where it came to last", async () => {
  const host = await plainHost();
  let stream = openStream(host);
  fill(stream, 0, 10);
  stream.track("a", 3);
  stream.track("żółw 🐢", 2 ** 40 + 5);
  stream.track("\ufeffmarked", 9);
  host.commit.endTurn();
  stream.track("a", 7);
  stream = reopen(host, stream);
  assert.equal(stream.offsets.get("a"), 7);
  assert.equal(stream.offsets.get("żółw 🐢"), 2 ** 40 + 5);
  assert.equal(stream.offsets.get("\ufeffmarked"), 9);
  assert.equal(stream.offsets.get("b"), null);
  stream.track("b", 1);
  stream = reopen(host, stream);
  assert.deepEqual(["a", "b"].map((name) => stream.offsets.get(name)), [7, 1]);
  assert.deepEqual(host.events, []);
  stream.close();
});

test("the log of offsets does not grow without end", async () => {
  const host = await plainHost();
  let stream = openStream(host);
  fill(stream, 0, 1);
  for (let i = 0; i < 20_000; i++) {
    stream.track(`consumer ${i % 10}`, i);
    host.commit.endTurn();
  }
  assert.ok(statSync(join(host.queueDirectory, "offsets")).size < 70_000);
  stream = reopen(host, stream);
  for (let i = 0; i < 10; i++) assert.equal(stream.offsets.get(`consumer ${i}`), 19_990 + i);
  stream.close();
});

test("cut or damaged anywhere, the log of offsets yields what is intact and goes on", async () => {
  const host = await plainHost();
  let stream = openStream(host);
  fill(stream, 0, 1);
  for (let i = 0; i < 5; i++) {
    stream.track(`c${i}`, i);
    host.commit.endTurn();
  }
  stream.close();
  host.commit.sync();
  const path = join(host.queueDirectory, "offsets");
  const content = readFileSync(path);
  const entryBytes = 11 + 2;
  assert.equal(content.length, 20 + 5 * entryBytes);
  const check = (bytes: Uint8Array, lost: (index: number) => boolean, where: string) => {
    writeFileSync(path, bytes);
    stream = openStream(host);
    for (let i = 0; i < 5; i++) assert.equal(stream.offsets.get(`c${i}`), lost(i) ? null : i, `${where}: c${i}`);
    stream.track("more", 9);
    stream = reopen(host, stream);
    for (let i = 0; i < 5; i++) assert.equal(stream.offsets.get(`c${i}`), lost(i) ? null : i, `${where} again: c${i}`);
    assert.equal(stream.offsets.get("more"), 9, where);
    stream.close();
  };
  for (let cut = 0; cut < content.length; cut++) {
    check(content.subarray(0, cut), (index) => 20 + (index + 1) * entryBytes > cut, `cut at ${cut}`);
  }
  for (let at = 20; at < content.length; at++) {
    const bytes = Uint8Array.from(content);
    bytes[at]! ^= 0x04;
    check(bytes, (index) => index === Math.floor((at - 20) / entryBytes), `flipped at ${at}`);
  }
});
