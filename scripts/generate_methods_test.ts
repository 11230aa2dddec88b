import { test } from "node:test";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { METHOD_ROWS } from "./amqp_methods_table.ts";
import { generateMethods, METHODS_FILE } from "./generate_methods.ts";

test("the committed file of methods is what the generator writes", () => {
  assert.equal(readFileSync(METHODS_FILE, "utf8"), generateMethods(), "run scripts/generate_methods.ts");
});

test("the table names each method once", () => {
  const ids = METHOD_ROWS.map(([, classId, , methodId]) => `${classId}.${methodId}`);
  const names = METHOD_ROWS.map(([className, , methodName]) => `${className}.${methodName}`);
  assert.equal(new Set(ids).size, METHOD_ROWS.length);
  assert.equal(new Set(names).size, METHOD_ROWS.length);
});
