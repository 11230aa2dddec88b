import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Field,
  fieldsEqual,
  type FieldTable,
  getInteger,
  getString,
  tableOf,
  tablesEqual,
  toPlain,
} from "./amqp_table.ts";
import { fieldTable } from "./amqp_testing.ts";

test("plain values get the types that clients of RabbitMQ give them", () => {
  const table = tableOf({
    text: "bar",
    count: 5,
    big: 2n ** 60n,
    small: 7n,
    half: 0.5,
    flag: true,
    nothing: null,
    missing: undefined,
    bytes: Uint8Array.of(1),
    when: new Date(1500),
    list: [1, "a"],
    nested: { inner: false },
  });
  assert.deepEqual(
    table,
    new Map<string, Field>([
      ["text", { type: "S", value: "bar" }],
      ["count", { type: "l", value: 5 }],
      ["big", { type: "l", value: 2n ** 60n }],
      ["small", { type: "l", value: 7 }],
      ["half", { type: "d", value: 0.5 }],
      ["flag", { type: "t", value: true }],
      ["nothing", { type: "V", value: null }],
      ["bytes", { type: "x", value: Uint8Array.of(1) }],
      ["when", { type: "T", value: 1 }],
      ["list", { type: "A", value: [{ type: "l", value: 1 }, { type: "S", value: "a" }] }],
      ["nested", { type: "F", value: new Map([["inner", { type: "t", value: false }]]) }],
    ]),
  );
});

test("plain values that contain themselves are a fault and not an endless loop", () => {
  const list: unknown[] = [];
  list.push(list);
  assert.throws(() => tableOf({ list: list as string[] }), { name: "AssertionFault" });
});

test("a table becomes JSON", () => {
  const table: FieldTable = new Map<string, Field>([
    ["text", { type: "S", value: "é" }],
    ["raw", { type: "S", value: Uint8Array.of(255, 254) }],
    ["bytes", { type: "x", value: Uint8Array.of(104, 105) }],
    ["big", { type: "l", value: 2n ** 60n }],
    ["nan", { type: "d", value: NaN }],
    ["odd", { type: "f", value: Uint8Array.of(0x7F, 0xC0, 0, 1) }],
    ["price", { type: "D", value: { scale: 2, value: 1234 } }],
    ["list", { type: "A", value: [{ type: "V", value: null }, { type: "t", value: true }] }],
    ["__proto__", { type: "F", value: new Map([["n", { type: "I", value: -3 }]]) }],
  ]);
  assert.equal(
    JSON.stringify(toPlain(table)),
    '{"text":"é","raw":"//4=","bytes":"aGk=","big":"1152921504606846976","nan":null,"odd":null,"price":12.34,' +
      '"list":[null,true],"__proto__":{"n":-3}}',
  );
});

test("integers are equal by value whatever their width, and not to anything else", () => {
  const five: Field[] = [..."bBsuIilL"].map((type) => ({ type, value: 5 }) as Field);
  for (const a of five) {
    for (const b of five) assert.ok(fieldsEqual(a, b));
    assert.ok(!fieldsEqual(a, { type: "l", value: 6 }));
    assert.ok(!fieldsEqual(a, { type: "d", value: 5 }));
    assert.ok(!fieldsEqual(a, { type: "T", value: 5 }));
    assert.ok(!fieldsEqual(a, { type: "S", value: "5" }));
  }
});

test("floats, decimals, bytes, arrays and tables are equal by value", () => {
  assert.ok(fieldsEqual({ type: "f", value: 0.5 }, { type: "d", value: 0.5 }));
  const decimal: Field = { type: "D", value: { scale: 1, value: 5 } };
  assert.ok(fieldsEqual(decimal, { type: "D", value: { scale: 1, value: 5 } }));
  assert.ok(!fieldsEqual(decimal, { type: "D", value: { scale: 2, value: 50 } }));
  const bytes: Field = { type: "x", value: Uint8Array.of(1, 2) };
  assert.ok(fieldsEqual(bytes, { type: "x", value: Uint8Array.of(1, 2) }));
  assert.ok(!fieldsEqual(bytes, { type: "x", value: Uint8Array.of(1, 3) }));
  assert.ok(!fieldsEqual(bytes, { type: "x", value: Uint8Array.of(1) }));
  assert.ok(!fieldsEqual({ type: "S", value: "a" }, { type: "S", value: Uint8Array.of(255) }));
  assert.ok(!tablesEqual(tableOf({ a: [1, 2] }), tableOf({ a: [2, 1] })));
  assert.ok(!tablesEqual(tableOf({ a: [1, 2] }), tableOf({ a: [1] })));
  assert.ok(tablesEqual(tableOf({ a: { b: 1, c: [null] } }), tableOf({ a: { c: [null], b: 1 } })));
  assert.ok(!tablesEqual(tableOf({ a: 1 }), tableOf({ b: 1 })));
  assert.ok(!tablesEqual(tableOf({ a: 1 }), tableOf({ a: 1, b: 1 })));
});

test("every table is equal to itself and to a copy in another order", () => {
  fc.assert(
    fc.property(fieldTable, (table) => {
      assert.ok(tablesEqual(table, table));
      assert.ok(tablesEqual(table, new Map([...table].reverse())));
    }),
  );
});

test("one field is found by name and type", () => {
  const table = tableOf({ n: 5, text: "a", flag: true });
  table.set("raw", { type: "S", value: Uint8Array.of(255) });
  assert.equal(getInteger(table, "n"), 5);
  assert.equal(getInteger(table, "text"), undefined);
  assert.equal(getInteger(table, "flag"), undefined);
  assert.equal(getInteger(table, "none"), undefined);
  assert.equal(getString(table, "text"), "a");
  assert.equal(getString(table, "raw"), undefined);
  assert.equal(getString(table, "n"), undefined);
});
