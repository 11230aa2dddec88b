import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { loadSettings } from "./load.ts";
import { OPTION_NAMES } from "./options.ts";
import { optionTable, settingsText } from "./print.ts";

test("the manual's table of options is up to date (npm run docs writes it)", () => {
  const manual = readFileSync(new URL("../../docs/operating.md", import.meta.url), "utf8");
  assert.ok(manual.includes(optionTable()), "docs/operating.md does not hold the table that the options make");
});

test("the effective settings are printed with their origin and without the password", () => {
  const settings = loadSettings({ amqpPort: "0" }, { LEVERET_DEFAULT_PASSWORD: "carrot" }, () => "");
  const lines = settingsText(settings).trimEnd().split("\n");
  assert.equal(lines.length, OPTION_NAMES.length);
  assert.ok(lines.some((line) => /^\[amqp\] port +0 +flag --port$/.test(line)));
  assert.ok(lines.some((line) => /\*{8} +environment variable LEVERET_DEFAULT_PASSWORD$/.test(line)));
  assert.ok(!lines.join().includes("carrot"));
});
