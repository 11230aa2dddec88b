import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { systemDisk } from "./disk.ts";

test("a write to a descriptor that fails says which file it was", { skip: process.platform !== "linux" }, () => {
  const directory = mkdtempSync(join(tmpdir(), "leveret-"));
  const path = join(directory, "file");
  writeFileSync(path, "");
  const fd = systemDisk.open(path, "r");
  try {
    assert.throws(() => systemDisk.write(fd, new Uint8Array(1), 0, 1, 0), {
      message: `write ${path}: EBADF`,
      code: "EBADF",
    });
  } finally {
    systemDisk.close(fd);
    rmSync(directory, { recursive: true });
  }
});
