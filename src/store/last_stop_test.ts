import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { systemDisk } from "../runtime/disk.ts";
import { LastStop } from "./last_stop.ts";

const NOW_MS = 1_800_000_000_000;

describe("how the last broker ended", () => {
  let root = "";
  let path = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "leveret-"));
    path = join(root, "run");
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  function read(nowMs = NOW_MS, isNew = false): LastStop {
    return LastStop.read(systemDisk, path, isNew, nowMs);
  }

  it("in a new directory there was none", () => {
    assert.equal(read(NOW_MS, true).unsureBeforeMs, 0);
  });

  it("in good order: everything is known", () => {
    read(NOW_MS, true).stopped();
    assert.equal(read().unsureBeforeMs, 0);
  });

  it("killed: everything is known, in the same run of the machine", { skip: !existsSync("/proc/sys/kernel") }, () => {
    read(NOW_MS, true);
    assert.equal(read().unsureBeforeMs, 0);
  });

  it("in good order, but the one before was killed: what that one noted may not be on disk", () => {
    read(NOW_MS, true);
    read(NOW_MS + 5).stopped();
    assert.equal(read(NOW_MS + 6).unsureBeforeMs, NOW_MS + 5);
  });

  it("with the power: nothing is known of what lies there, now and by all who come after", () => {
    read(NOW_MS, true);
    writeFileSync(path, readFileSync(path, "utf8").replace(/running \S+/, "running 0ddba11"));
    const after = read(NOW_MS + 5);
    assert.equal(after.unsureBeforeMs, Infinity);
    after.stopped();
    assert.equal(read(NOW_MS + 6).unsureBeforeMs, NOW_MS + 5);
  });

  it("a full disk keeps nobody from starting or stopping, and nothing is known of it then", () => {
    read(NOW_MS, true).stopped();
    const write = () => {
      throw Object.assign(new Error("full"), { code: "ENOSPC" });
    };
    LastStop.read({ ...systemDisk, write }, path, false, NOW_MS).stopped();
    assert.equal(read().unsureBeforeMs, Infinity);
  });

  it("without a word, or with a torn one: as with the power", () => {
    assert.equal(read().unsureBeforeMs, Infinity);
    for (const text of ["", "runn", "stopped 12", "running \n"]) {
      writeFileSync(path, text);
      assert.equal(read().unsureBeforeMs, Infinity, JSON.stringify(text));
    }
  });
});
