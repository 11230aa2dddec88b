import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { systemDisk } from "../runtime/disk.ts";
import { DamageList } from "./damage_list.ts";
import { DataDir } from "./data_dir.ts";
import { settleOrphans } from "./orphan_queues.ts";
import type { StoreEvent } from "./store_event.ts";

describe("queue directories without a definition", () => {
  let root = "";
  let dataDir: DataDir;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "leveret-"));
    dataDir = DataDir.open(root, { lock: () => ({ release() {} }), disk: systemDisk });
  });
  afterEach(() => {
    dataDir.close();
    rmSync(root, { recursive: true, force: true });
  });

  function put(id: number, inner = "", content = "a segment"): void {
    const directory = join(dataDir.queuePath(id), inner);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, "msgs.0000000001"), content);
  }

  function settle(live: number[], deleted: number[], repairs = true): [string, number][] {
    const events: StoreEvent[] = [];
    const known = { live: new Set(live), named: new Set([...live, ...deleted]) };
    settleOrphans(systemDisk, dataDir, known, (event) => events.push(event), repairs);
    return events.map(({ kind, path }) => [kind, Number(path.slice(-10))]);
  }

  it("are removed when the log says that they were deleted, or when no message was ever in them", () => {
    put(1);
    put(2);
    put(3, "", "");
    assert.deepEqual(settle([1], [2]), [["deleted-queue", 2], ["deleted-queue", 3]]);
    assert.deepEqual([dataDir.queueIds(), dataDir.orphanIds()], [[1], []]);
    assert.deepEqual(settle([1], [2]), []);
  });

  it("are kept aside with their messages when nothing says that they were deleted, at any later start, too", () => {
    put(1, "", "one");
    put(2, "p003", "two");
    assert.deepEqual(settle([], []), [["orphan-queue", 1], ["orphan-queue", 2]]);
    for (let i = 0; i < 2; i++) assert.deepEqual(settle([], []), []);
    assert.deepEqual([dataDir.queueIds(), dataDir.orphanIds()], [[], [1, 2]]);
    assert.equal(readFileSync(join(root, "orphans", "0000000002", "p003", "msgs.0000000001"), "utf8"), "two");
  });

  it("come back when the definitions know them again", () => {
    put(1, "", "one");
    put(2);
    settle([], []);
    assert.deepEqual(settle([1], []), [["returned-queue", 1]]);
    assert.deepEqual([dataDir.queueIds(), dataDir.orphanIds()], [[1], [2]]);
    assert.equal(readFileSync(join(dataDir.queuePath(1), "msgs.0000000001"), "utf8"), "one");
  });

  it("take nobody's place: neither among the orphans nor of a queue that is there", () => {
    put(1, "", "old");
    settle([], []);
    put(1, "", "new");
    assert.deepEqual(settle([1], []), []);
    assert.deepEqual(settle([], []), [["orphan-queue", 1]]);
    assert.deepEqual(readdirSync(join(root, "orphans")).sort(), ["0000000001", "0000000001-2"]);
  });

  it("are only told of when they are looked at", () => {
    put(1);
    put(2, "", "");
    assert.deepEqual(settle([], [], false), [["orphan-queue", 1], ["deleted-queue", 2]]);
    assert.deepEqual(dataDir.queueIds(), [1, 2]);
    assert.equal(existsSync(join(root, "orphans")), false);
  });

  it("stay where they are when orphans/ cannot be made", () => {
    writeFileSync(join(root, "orphans"), "in the way");
    put(1);
    assert.deepEqual(settle([], []), [["orphan-queue", 1]]);
    assert.deepEqual(dataDir.queueIds(), [1]);
  });
});

it("the list of damage keeps the latest thousand, counts all, and knows what is none", () => {
  let nowMs = 0;
  const list = new DamageList(() => nowMs);
  const event = { path: "p", offset: 8, bytes: 16, detail: "d" };
  assert.equal(list.add({ ...event, kind: "empty-segment" }), false);
  for (nowMs = 1; nowMs <= 1500; nowMs++) assert.equal(list.add({ ...event, kind: "damaged-record" }), true);
  assert.deepEqual([list.count, list.bytes, list.entries.length], [1500, 24_000, 1000]);
  assert.deepEqual(list.entries[0], { ...event, kind: "damaged-record", foundMs: 501 });
});
