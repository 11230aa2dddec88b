import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FileFault } from "./fault.ts";
import { FileSyncs, syncfsTells } from "./file_syncs.ts";

/** Descriptors from 100 on lie on the second filesystem, those below 0 nowhere. */
class Machine {
  readonly calls: string[] = [];
  nowMs = 0;
  syncfsMs = 1;
  hasRoom = true;
  failing = new Set<number>();
  #last = 1000;
  readonly syncs = new FileSyncs({
    libc: {
      syncFile: (fd) => {
        this.calls.push(`file ${fd}`);
        this.nowMs += 1;
        return this.failing.has(fd) ? 5 : 0;
      },
      syncFilesystem: (fd) => {
        this.calls.push(`filesystem ${fd}`);
        this.nowMs += this.syncfsMs;
        return this.failing.has(fd) ? 5 : 0;
      },
    },
    syncfsTells: true,
    deviceOf: (fd) => fd < 0 ? null : fd < 100 ? 1 : 2,
    openBeside: (fd) => this.hasRoom ? (this.calls.push(`open beside ${fd}`), ++this.#last) : null,
    close: (fd) => void this.calls.push(`close ${fd}`),
    nowMs: () => this.nowMs,
  });

  sync(...fds: number[]): string {
    this.calls.length = 0;
    this.syncs.sync(fds);
    return this.calls.join(", ");
  }
}

describe("syncs of several files", () => {
  it("are one by one for few, and one for many", () => {
    const machine = new Machine();
    assert.equal(machine.sync(1, 2), "file 1, file 2");
    assert.equal(machine.sync(1, 2, 3), "open beside 1, file 1, file 2, file 3", "what failed before is told by files");
    assert.equal(machine.sync(4, 5, 6, 7), "filesystem 1001");
    assert.equal(machine.sync(4, 5), "file 4, file 5");
  });

  it("are one for each filesystem", () => {
    const machine = new Machine();
    machine.sync(1, 2, 3);
    assert.equal(
      machine.sync(1, 100, 2, 101, 3, 102, -1),
      "filesystem 1001, open beside 100, file 100, file 101, file 102, file -1",
    );
    assert.equal(machine.sync(1, 100, 2, 101, 3, 102), "filesystem 1001, filesystem 1002");
    machine.calls.length = 0;
    machine.syncs.close();
    assert.deepEqual(machine.calls, ["close 1001", "close 1002"]);
  });

  it("are one by one where the filesystem cannot be opened", () => {
    const machine = new Machine();
    machine.hasRoom = false;
    for (let round = 0; round < 2; round++) assert.equal(machine.sync(1, 2, 3), "file 1, file 2, file 3");
  });

  it("are one by one for a while after one for all took longer than its files would have", () => {
    const machine = new Machine();
    machine.sync(1, 2, 3);
    machine.syncfsMs = 4;
    assert.equal(machine.sync(1, 2, 3, 4), "filesystem 1001", "as long as the files");
    assert.equal(machine.sync(1, 2, 3), "filesystem 1001");
    const slowUntilMs = machine.nowMs + 40;
    while (machine.nowMs < slowUntilMs) assert.equal(machine.sync(1, 2, 3), "file 1, file 2, file 3");
    assert.equal(machine.sync(1, 2, 3), "filesystem 1001");
  });

  it("fail when a file or a filesystem does", () => {
    const machine = new Machine();
    machine.failing.add(2).add(1001);
    assert.throws(() => machine.sync(1, 2), FileFault);
    assert.throws(() => machine.sync(1, 2, 3), FileFault);
    assert.throws(() => machine.sync(1, 3, 4), FileFault);
  });

  it("are one for many only on a Linux that tells what could not be written", () => {
    const tells = ["5.8.0", "5.10.0-30-amd64", "6.1.0", "10.0"];
    const doesNot = ["4.19.0-27-amd64", "5.7.19", "5.4.0-200-generic", "", "unknown"];
    assert.deepEqual([tells, doesNot].map((releases) => releases.map(syncfsTells)), [
      tells.map(() => true),
      doesNot.map(() => false),
    ]);
  });
});
