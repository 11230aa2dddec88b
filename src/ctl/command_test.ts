import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { commandTable } from "./command.ts";

test("the manual's table of commands is the one that the commands make", () => {
  const manual = readFileSync(new URL("../../docs/ctl.md", import.meta.url), "utf8");
  assert.ok(manual.includes(commandTable()), "docs/ctl.md is behind: npm run docs");
});
