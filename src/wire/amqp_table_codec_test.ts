import { test } from "node:test";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { TABLE_DEPTH_MAX, TABLE_ENTRIES_MAX } from "../limits.ts";
import type { Field, FieldTable, FieldType, FieldValue } from "./amqp_table.ts";
import { decodeTable, encodeTable } from "./amqp_table_codec.ts";
import { concat, fieldTable, hexOf, octets, passesOrViolates, violation } from "./amqp_testing.ts";

function decode(bytes: Uint8Array): FieldTable {
  return decodeTable(bytes, 0, bytes.length);
}

/** A table with one field named "k" whose type and value are these bytes. */
function single(field: Uint8Array): Uint8Array {
  return sized(concat([octets("01 'k'"), field]));
}

function sized(content: Uint8Array): Uint8Array {
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, content.length);
  return concat([size, content]);
}

const VECTORS: readonly [string, FieldType, FieldValue][] = [
  ["'t' 01", "t", true],
  ["'t' 00", "t", false],
  ["'b' 80", "b", -128],
  ["'B' 80", "B", 128],
  ["'s' FFFE", "s", -2],
  ["'u' FFFE", "u", 65534],
  ["'I' FFFFFFFD", "I", -3],
  ["'i' FFFFFFFD", "i", 4294967293],
  ["'l' FFFFFFFFFFFFFFFF", "l", -1],
  ["'L' FFFFFFFFFFFFFFFF", "L", -1],
  ["'l' 001FFFFFFFFFFFFF", "l", Number.MAX_SAFE_INTEGER],
  ["'l' 0020000000000000", "l", 2n ** 53n],
  ["'l' FFE0000000000001", "l", Number.MIN_SAFE_INTEGER],
  ["'l' 8000000000000000", "l", -(2n ** 63n)],
  ["'T' FFFFFFFFFFFFFFFF", "T", 2n ** 64n - 1n],
  ["'T' 000000006553F100", "T", 1700000000],
  ["'f' 3F800000", "f", 1],
  ["'d' BFE0000000000000", "d", -0.5],
  ["'d' 7FF8000000000000", "d", NaN],
  ["'d' FFF8000000000001", "d", octets("FFF8000000000001")],
  ["'f' 7F800001", "f", octets("7F800001")],
  ["'D' 02 000004D2", "D", { scale: 2, value: 1234 }],
  ["'S' 00000003 'abc'", "S", "abc"],
  ["'S' 00000003 EFBBBF", "S", "\uFEFF"],
  ["'S' 00000002 C3A9", "S", "é"],
  ["'S' 00000002 C080", "S", octets("C080")],
  ["'S' 00000003 EDA080", "S", octets("EDA080")],
  ["'x' 00000003 'abc'", "x", octets("'abc'")],
  ["'V'", "V", null],
  ["'A' 00000003 'V' 't' 01", "A", [{ type: "V", value: null }, { type: "t", value: true }]],
  ["'F' 00000003 01 'n' 'V'", "F", new Map<string, Field>([["n", { type: "V", value: null }]])],
];

test("each type is read as RabbitMQ reads it and written back the same", () => {
  for (const [text, type, value] of VECTORS) {
    const bytes = single(octets(text));
    const table = decode(bytes);
    assert.deepEqual(table, new Map([["k", { type, value }]]), text);
    assert.equal(hexOf(encodeTable(table)), hexOf(bytes), text);
  }
});

test("any table survives encoding and decoding, and its bytes decoding and encoding", () => {
  fc.assert(
    fc.property(fieldTable, (table) => {
      const bytes = encodeTable(table);
      const back = decode(bytes);
      assert.deepEqual(back, table);
      assert.equal(hexOf(encodeTable(back)), hexOf(bytes));
    }),
    { numRuns: 300 },
  );
});

test("what is decoded does not lie in the buffer it came from", () => {
  const bytes = Buffer.from(concat([
    octets("00000018 01 'a' 'x' 00000002 'hi' 01 'b' 'S' 00000001 FF 01 'c' 'f' 7F800001"),
  ]));
  const table = decodeTable(bytes, 0, bytes.length);
  bytes.fill(0);
  assert.deepEqual(table.get("a")?.value, octets("'hi'"));
  assert.deepEqual(table.get("b")?.value, octets("FF"));
  assert.deepEqual(table.get("c")?.value, octets("7F800001"));
});

test("of fields with one name the last wins", () => {
  const table = decode(sized(octets("01 'a' 'B' 01 01 'b' 'B' 02 01 'a' 'B' 03")));
  assert.deepEqual([...table].map(([name, field]) => [name, field.value]), [["a", 3], ["b", 2]]);
});

test("a table cut at any byte is refused, and so is one octet too many", () => {
  const whole = concat(VECTORS.map(([text], i) => concat([octets("02 'k'"), Uint8Array.of(65 + i), octets(text)])));
  const bytes = sized(whole);
  assert.equal(decode(bytes).size, VECTORS.length);
  for (let size = 0; size < bytes.length; size++) {
    assert.equal(violation(() => decodeTable(bytes, 0, size)).code, 501);
  }
  violation(() => decode(concat([bytes, octets("00")])));
});

test("a value may not reach over the end of the table or array that it stands in", () => {
  violation(() => decode(octets("0000000A 01 'k' 'F' 00000003 01 'n' 'B' 05")));
  violation(() => decode(octets("00000009 01 'k' 'A' 00000001 'B' 05")));
  violation(() => decode(single(octets("'S' FFFFFFFF 'abc'"))));
  violation(() => decode(single(octets("'A' FFFFFFFF"))));
});

test("unknown types and names that are not UTF-8 are refused", () => {
  for (const letter of ["'z'", "00", "FF", "'y'"]) {
    assert.equal(violation(() => decode(single(octets(letter)))).code, 501);
  }
  violation(() => decode(sized(octets("01 FF 'V'"))));
});

function nested(letter: "A" | "F", depth: number): Uint8Array {
  let bytes: Uint8Array = octets("'V'");
  for (let i = 1; i < depth; i++) {
    bytes = letter === "A"
      ? concat([octets("'A'"), sized(bytes)])
      : concat([octets("'F'"), sized(concat([octets("01 'n'"), bytes]))]);
  }
  return single(bytes);
}

test("nesting is taken to its limit and refused beyond, however deep the bomb", () => {
  for (const letter of ["A", "F"] as const) {
    const table = decode(nested(letter, TABLE_DEPTH_MAX));
    assert.deepEqual(encodeTable(table), nested(letter, TABLE_DEPTH_MAX));
    assert.equal(violation(() => decode(nested(letter, TABLE_DEPTH_MAX + 1))).code, 501);
    assert.equal(violation(() => decode(nested(letter, 500))).code, 501);
  }
});

test("entries are taken to their limit and refused beyond, over all levels together", () => {
  const items = (count: number) => concat([octets("'A'"), sized(new Uint8Array(count).fill(0x56))]);
  assert.equal((decode(single(items(TABLE_ENTRIES_MAX - 1))).get("k")?.value as Field[]).length, TABLE_ENTRIES_MAX - 1);
  assert.equal(violation(() => decode(single(items(TABLE_ENTRIES_MAX)))).code, 501);
  const half = items(TABLE_ENTRIES_MAX / 2);
  violation(() => decode(sized(concat([octets("01 'a'"), half, octets("01 'b'"), half]))));
});

test("names of 255 octets are written, of 256 not", () => {
  const field: Field = { type: "V", value: null };
  const longest = new Map([["é".repeat(127) + "x", field]]);
  assert.deepEqual(decode(encodeTable(longest)), longest);
  assert.throws(() => encodeTable(new Map([["é".repeat(128), field]])), { name: "AssertionFault" });
  assert.throws(() => encodeTable(new Map([["x".repeat(256), field]])), { name: "AssertionFault" });
});

test("values that their type cannot hold are a fault", () => {
  const wrong: [FieldType, FieldValue][] = [
    ["b", 128],
    ["B", -1],
    ["s", 40000],
    ["u", 65536],
    ["I", 2 ** 31],
    ["i", -1],
    ["i", 1.5],
    ["l", 2n ** 63n],
    ["l", 0.5],
    ["T", -1],
    ["t", 1],
    ["S", 5],
    ["x", null],
    ["A", new Map()],
    ["F", []],
    ["D", { scale: 256, value: 0 }],
    ["f", octets("0102")],
  ];
  for (const [type, value] of wrong) {
    assert.throws(() => encodeTable(new Map([["k", { type, value }]])), { name: "AssertionFault" }, `${type} ${value}`);
  }
});

test("random bytes decode or are a violation, and what decodes encodes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300, size: "max" }), (bytes) => {
      passesOrViolates(() => encodeTable(decode(sized(bytes))));
    }),
    { numRuns: 500 },
  );
});

test("tables with one byte changed decode or are a violation", () => {
  fc.assert(
    fc.property(fieldTable, fc.nat(), fc.nat(255), (table, at, octet) => {
      const bytes = encodeTable(table);
      bytes[at % bytes.length] = octet;
      passesOrViolates(() => encodeTable(decode(bytes)));
    }),
    { numRuns: 500 },
  );
});
