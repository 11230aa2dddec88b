import assert from "node:assert/strict";
import { constants } from "node:os";
import { test } from "node:test";
import { errnoName, errorCode, fileFault } from "./errno.ts";
import { FileFault } from "./fault.ts";

test("an errno is told by its name, an unknown one by its number", () => {
  assert.equal(errnoName(constants.errno.ENOSPC), "ENOSPC");
  assert.equal(errnoName(constants.errno.EIO), "EIO");
  assert.equal(errnoName(9999), "E9999");
});

test("an error of node:fs becomes a fault that says what, where and why", () => {
  const fault = fileFault("open", "/some/file", Object.assign(new Error("long text"), { code: "ENOENT" }));
  assert.equal(fault.message, "open /some/file: ENOENT");
  assert.deepEqual([fault.operation, fault.path, fault.code], ["open", "/some/file", "ENOENT"]);
});

test("an error without a code keeps its words", () => {
  assert.equal(fileFault("write", "/f", new Error("odd")).message, "write /f: EIO (odd)");
  assert.equal(fileFault("write", "/f", "odd").message, "write /f: EIO (odd)");
});

test("a fault stays the fault it is", () => {
  const fault = new FileFault("allocate", "/f", "ENOSPC");
  assert.equal(fileFault("prepare", "/g", fault), fault);
});

test("what carries no code has none", () => {
  for (const error of [null, undefined, "text", new Error("odd"), { code: 5 }]) assert.equal(errorCode(error), "");
});
