import assert from "node:assert/strict";
import {
  existsSync,
  fstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Disk, systemDisk } from "../runtime/disk.ts";
import { xxh32 } from "./checksum.ts";
import { DefinitionsLog } from "./definitions_log.ts";
import type { DefinitionsCommit, DefinitionsEntry } from "./definitions_log.ts";
import type { StoreEvent } from "./store_event.ts";

const HEADER_BYTES = 8;

/** What the log asks of GroupCommit, kept for the test. */
class TestCommit implements DefinitionsCommit {
  touched: { flush(): void }[] = [];
  dirtied: number[] = [];
  held: (() => void)[] = [];

  touch(store: { flush(): void }): void {
    this.touched.push(store);
  }

  dirty(fd: number): void {
    this.dirtied.push(fd);
  }

  release(_fd: number, forget: boolean, close: () => void): void {
    assert.equal(forget, true);
    this.held.push(close);
  }

  endTurn(): void {
    for (const store of this.touched.splice(0)) store.flush();
  }
}

interface Opened {
  readonly log: DefinitionsLog;
  readonly commit: TestCommit;
  readonly entries: DefinitionsEntry[];
  readonly events: StoreEvent[];
}

describe("definitions log", () => {
  let root = "";
  let path = "";
  let opened: Opened[] = [];
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "leveret-"));
    path = join(root, "definitions.log");
    opened = [];
  });
  afterEach(() => {
    for (const { log, commit } of opened) {
      log.close();
      for (const close of commit.held) close();
    }
    rmSync(root, { recursive: true, force: true });
  });

  function open(): Opened {
    const commit = new TestCommit();
    const entries: DefinitionsEntry[] = [];
    const events: StoreEvent[] = [];
    const log = DefinitionsLog.open(
      systemDisk,
      path,
      commit,
      (entry) => entries.push(entry),
      (event) => events.push(event),
    );
    const result = { log, commit, entries, events };
    opened.push(result);
    return result;
  }

  it("is written anew by who opens it, since what is read may stand in the page cache alone", () => {
    write([{ op: "a" }]);
    const before = { bytes: readFileSync(path), inode: statSync(path).ino };
    const synced: (string | number)[] = [];
    const disk: Disk = {
      ...systemDisk,
      sync(fd) {
        synced.push(fstatSync(fd).ino);
        systemDisk.sync(fd);
      },
      syncDirectory(directory) {
        synced.push(directory);
        systemDisk.syncDirectory(directory);
      },
    };
    DefinitionsLog.open(disk, path, new TestCommit(), () => {}, () => {}).close();
    assert.deepEqual(readFileSync(path), before.bytes);
    assert.deepEqual(synced, [statSync(path).ino, root]);
    assert.notEqual(statSync(path).ino, before.inode);
  });

  /** Opens, looks and closes. */
  function reopen(): Opened {
    const result = open();
    result.log.close();
    return result;
  }

  /** Writes a log of these entries and returns where each begins, and last where the file ends. */
  function write(entries: readonly DefinitionsEntry[]): number[] {
    rmSync(path, { force: true });
    const { log, commit } = open();
    const starts = [HEADER_BYTES];
    for (const entry of entries) {
      log.append(entry);
      commit.endTurn();
      starts.push(statSync(path).size);
    }
    log.close();
    return starts;
  }

  const three: readonly DefinitionsEntry[] = [
    { kind: "queue", name: "first" },
    { kind: "exchange", name: "zweite ä \u0000 €", arguments: { "x-max": 1 } },
    { kind: "binding" },
  ];

  it("is created with nothing in it, for its own user alone", () => {
    const { log, entries, events } = open();
    assert.deepEqual([entries, events, log.entryCount], [[], [], 0]);
    assert.deepEqual([...readFileSync(path)], [..."LVDF"].map((letter) => letter.charCodeAt(0)).concat(1, 0, 8, 0));
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(root), ["definitions.log"]);
  });

  it("gives back every entry in order, after each reopening", () => {
    write(three);
    for (let i = 0; i < 2; i++) {
      const { entries, events, log } = reopen();
      assert.deepEqual([entries, events, log.entryCount], [three, [], 3]);
    }
  });

  it("goes on behind what was there", () => {
    write(three);
    const { log, commit } = open();
    log.append({ kind: "fourth" });
    commit.endTurn();
    log.close();
    assert.deepEqual(reopen().entries, [...three, { kind: "fourth" }]);
  });

  it("writes at the end of the turn, and says once that it is touched and once that it is dirty", () => {
    const { log, commit } = open();
    for (const entry of three) log.append(entry);
    assert.deepEqual([commit.touched.length, statSync(path).size, log.entryCount], [1, HEADER_BYTES, 3]);
    commit.endTurn();
    assert.equal(commit.dirtied.length, 1);
    assert.equal(fstatSync(commit.dirtied[0]!).ino, statSync(path).ino, "the descriptor is that of the log");
    log.append({});
    assert.equal(commit.touched.length, 1);
    commit.endTurn();
    assert.equal(reopen().entries.length, 4);
  });

  it("takes entries larger than its buffer", () => {
    const large = { text: "x".repeat(300_000) };
    write([large, { kind: "small" }]);
    assert.deepEqual(reopen().entries, [large, { kind: "small" }]);
  });

  it("refuses an entry that it would not read again", () => {
    const { log, commit } = open();
    assert.throws(() => log.append({ text: "x".repeat(9_000_000) }), /definitions\.log: expected an entry of at most/);
    assert.equal(log.entryCount, 0);
    log.append({ kind: "next" });
    commit.endTurn();
    log.close();
    assert.deepEqual(reopen().entries, [{ kind: "next" }]);
  });

  it("cut at any byte of its last entry keeps those before it, and goes on there", () => {
    const starts = write(three);
    const whole = readFileSync(path);
    for (let size = starts[2]!; size < starts[3]!; size++) {
      writeFileSync(path, whole.subarray(0, size));
      const { log, commit, entries, events } = open();
      assert.deepEqual(entries, three.slice(0, 2), `cut at ${size}`);
      assert.equal(statSync(path).size, starts[2]);
      const torn = { kind: "torn-tail", path, offset: starts[2], bytes: size - starts[2]!, detail: "cut" };
      assert.deepEqual(events, size === starts[2] ? [] : [torn]);
      log.append({ kind: "new" });
      commit.endTurn();
      log.close();
      assert.deepEqual(reopen().entries, [...three.slice(0, 2), { kind: "new" }]);
    }
    assert.deepEqual(readdirSync(root), ["definitions.log"], "a torn end is nothing to keep");
  });

  it("garbled at any byte of its last entry, or zeros from there on, keeps those before it", () => {
    const starts = write(three);
    const whole = readFileSync(path);
    for (let at = starts[2]!; at < starts[3]!; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const garbled = Uint8Array.from(whole);
        garbled[at] = garbled[at]! ^ flip;
        writeFileSync(path, garbled);
        const { entries, events } = reopen();
        assert.deepEqual([entries, events.length], [three.slice(0, 2), 1], `byte ${at}`);
        assert.equal(statSync(path).size, starts[2]);
      }
      writeFileSync(path, Uint8Array.from(whole).fill(0, at));
      assert.deepEqual(reopen().entries, three.slice(0, 2), `zeros from ${at}`);
    }
  });

  it("garbled at any byte of an entry in the middle keeps those on both sides, and the damaged file", () => {
    const starts = write(three);
    const whole = readFileSync(path);
    for (let at = starts[1]!; at < starts[2]!; at++) {
      const garbled = Uint8Array.from(whole);
      garbled[at] = garbled[at]! ^ 0x11;
      writeFileSync(path, garbled);
      const { log, entries, events } = reopen();
      assert.deepEqual(entries, [three[0], three[2]], `byte ${at}`);
      assert.equal(log.entryCount, 2);
      const kept = readdirSync(root).filter((name) => name.startsWith("definitions.log.damaged-"));
      assert.equal(kept.length, 1);
      const keptAs = join(root, kept[0]!);
      assert.deepEqual(events, [{
        kind: "damaged-definitions",
        path,
        offset: starts[1],
        bytes: starts[2]! - starts[1]!,
        detail: "changes of the topology that stood here are lost; the whole file is kept beside it",
      }]);
      assert.deepEqual(Uint8Array.from(readFileSync(keptAs)), garbled);
      const again = reopen();
      assert.deepEqual([again.entries, again.events], [[three[0], three[2]], []], "the rest is whole");
      rmSync(keptAs);
      rmSync(path);
    }
  });

  it("damaged in the middle and at its end loses just that", () => {
    const starts = write(three);
    const damaged = Uint8Array.from(readFileSync(path)).subarray(0, starts[3]! - 1);
    damaged[HEADER_BYTES + 10] = 0;
    writeFileSync(path, damaged);
    const { entries, events } = reopen();
    assert.deepEqual(entries, [three[1]]);
    assert.deepEqual(events.map((event) => event.kind), ["damaged-definitions", "torn-tail"]);
    assert.deepEqual(reopen().entries, [three[1]]);
  });

  it("is begun anew when not even its header was written", () => {
    write([]);
    const header = Uint8Array.from(readFileSync(path));
    for (let size = 0; size < HEADER_BYTES; size++) {
      writeFileSync(path, header.subarray(0, size));
      const torn = { kind: "torn-tail", path, offset: 0, bytes: size, detail: "cut" };
      assert.deepEqual(reopen().events, size === 0 ? [] : [torn]);
      assert.deepEqual(reopen().events, []);
    }
  });

  it("with any bit of its header flipped gives back every entry, is told once, and kept", () => {
    write(three);
    const whole = Uint8Array.from(readFileSync(path));
    for (let bit = 0; bit < HEADER_BYTES * 8; bit++) {
      const flipped = whole.slice();
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      writeFileSync(path, flipped);
      const { entries, events } = reopen();
      assert.deepEqual([entries, events.map(({ kind }) => kind)], [three, ["damaged-definitions"]], `bit ${bit}`);
      assert.deepEqual(Uint8Array.from(readFileSync(path)), whole, "written anew");
      assert.deepEqual(reopen().events, []);
      const kept = readdirSync(root).filter((name) => name.startsWith("definitions.log.damaged-"));
      assert.equal(kept.length, 1);
      assert.deepEqual(Uint8Array.from(readFileSync(join(root, kept[0]!))), flipped);
      rmSync(join(root, kept[0]!));
    }
  });

  it("that is something else is kept aside, and the broker starts", () => {
    for (const content of ["other", "something else altogether", "\0".repeat(5000)]) {
      writeFileSync(path, content);
      const { entries, events } = reopen();
      assert.deepEqual([entries, events[0]!.kind], [[], "damaged-definitions"]);
      const kept = readdirSync(root).filter((name) => name.startsWith("definitions.log.damaged-"));
      assert.equal(readFileSync(join(root, kept[0]!), "utf8"), content);
      assert.deepEqual(reopen().events, []);
      rmSync(join(root, kept[0]!));
    }
  });

  it("of another version is refused with an error that says which, and left as it was", () => {
    write(three);
    // Headers of later versions end with a checksum: so they are told from a damaged one.
    const bytes = Buffer.from([...readFileSync(path).subarray(0, 4), 2, 0, 16, 0, 1, 2, 3, 4, 0, 0, 0, 0]);
    bytes.writeInt32LE(xxh32(bytes, 0, 12, 0), 12);
    writeFileSync(path, bytes);
    assert.throws(open, /definitions\.log: unknown version of a definitions log: expected 1, found 2$/);
    assert.deepEqual(readFileSync(path), bytes);
  });

  it("takes an entry that is no JSON, though its checksum holds, for a damaged one", () => {
    const starts = write(three);
    const bytes = readFileSync(path);
    const json = bytes.subarray(starts[1]! + 8, starts[2]!);
    json.fill(0x78, 1, json.length - 1);
    bytes.writeInt32LE(xxh32(json, 0, json.length, json.length), starts[1]! + 4);
    writeFileSync(path, bytes);
    assert.deepEqual(reopen().entries, [three[0], three[2]]);
  });

  it("is opened on a disk that has no room for a second one", () => {
    const starts = write(three);
    const whole = Uint8Array.from(readFileSync(path));
    const full = Object.assign(new Error("no space is left"), { code: "ENOSPC" });
    const disk: Disk = {
      ...systemDisk,
      open(name, flags) {
        if (flags === "w+") throw full;
        return systemDisk.open(name, flags);
      },
    };
    for (const at of [1, starts[1]! + 12]) {
      const damaged = whole.slice();
      damaged[at]! ^= 1;
      writeFileSync(path, damaged);
      const [entries, events]: [DefinitionsEntry[], StoreEvent[]] = [[], []];
      const commit = new TestCommit();
      const log = DefinitionsLog.open(
        disk,
        path,
        commit,
        (entry) => entries.push(entry),
        (event) => events.push(event),
      );
      assert.deepEqual(entries, at === 1 ? three : [three[0], three[2]]);
      log.append({ kind: "more" });
      commit.endTurn();
      log.close();
      assert.deepEqual(reopen().entries, [...entries, { kind: "more" }]);
    }
  });

  it("compacted holds just the entries given, and goes on behind them", () => {
    write(three);
    const { log, commit } = open();
    const before = statSync(path).ino;
    log.append({ kind: "never written" });
    log.compact([{ kind: "only" }]);
    assert.equal(log.entryCount, 1);
    assert.notEqual(statSync(path).ino, before);
    assert.equal(commit.held.length, 1, "the old descriptor is closed when no sync has it any more");
    log.append({ kind: "next" });
    commit.endTurn();
    assert.equal(fstatSync(commit.dirtied[0]!).ino, statSync(path).ino);
    log.close();
    assert.deepEqual(reopen().entries, [{ kind: "only" }, { kind: "next" }]);
    assert.deepEqual(readdirSync(root), ["definitions.log"]);
  });

  it("ignores and removes what an interrupted compaction left", () => {
    write(three);
    writeFileSync(`${path}.new`, "half a log");
    assert.deepEqual(reopen().entries, three);
    assert.equal(existsSync(`${path}.new`), false);
  });

  it("stands as it was when a compaction fails", () => {
    write(three);
    const { log, commit } = open();
    log.append({ kind: "buffered" });
    assert.throws(() => log.compact([{ text: "x".repeat(9_000_000) }]), /at most/);
    commit.endTurn();
    log.close();
    assert.deepEqual(reopen().entries, [...three, { kind: "buffered" }]);
  });
});
