import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { defaultDataDir } from "./data_dir.ts";

test("the service's directory is taken where it can be written", () => {
  const service = mkdtempSync(join(tmpdir(), "leveret-"));
  try {
    assert.equal(defaultDataDir({ HOME: "/home/hare" }, service), service);
  } finally {
    rmSync(service, { recursive: true });
  }
  assert.equal(defaultDataDir({ HOME: "/home/hare" }, service), "/home/hare/.local/share/leveret");
});

test("without it the user's own data directory is taken, without a home the working directory", () => {
  const none = "/nonexistent/leveret";
  assert.equal(defaultDataDir({ HOME: "/home/hare", XDG_DATA_HOME: "/xdg" }, none), "/xdg/leveret");
  assert.equal(defaultDataDir({}, none), "leveret-data");
});
