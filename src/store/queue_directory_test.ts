import assert from "node:assert/strict";
import { dirname } from "node:path";
import { test } from "node:test";
import type { Disk } from "../runtime/disk.ts";
import { filesOf, publish, testHosts } from "./queue_store_testing.ts";

const hostOf = testHosts();

test("a directory that is found is synced with the first segment, as one that is made", async () => {
  const files = (await filesOf("plain"))!;
  const host = hostOf(files);
  const opened = new Map<number, string>();
  const disk: Disk = {
    ...files.disk,
    open(path, flags) {
      const fd = files.disk.open(path, flags);
      opened.set(fd, path);
      return fd;
    },
    close(fd) {
      opened.delete(fd);
      files.disk.close(fd);
    },
  };
  Object.defineProperty(host.files, "disk", { value: disk });
  // The second process finds what the first one made, and perhaps did not sync before it was killed.
  for (const process of ["first", "second"]) {
    const store = host.open();
    publish(store, 0, 1);
    host.commit.endTurn();
    const dirty = [...host.commit.dirtied].map((fd) => opened.get(fd));
    assert.ok(dirty.includes(host.queueDirectory), `${process}: the segment's name`);
    assert.ok(dirty.includes(dirname(host.queueDirectory)), `${process}: the directory's name`);
    store.close();
    host.commit.sync();
  }
});
