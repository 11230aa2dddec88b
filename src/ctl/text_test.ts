import assert from "node:assert/strict";
import { test } from "node:test";
import { cellOf, escaped, outlineText, tableText } from "./text.ts";

test("nothing in a text can pass for a line, a column or a terminal's command", () => {
  assert.equal(escaped("a\tb\nc\rd\\e"), "a\\tb\\nc\\rd\\\\e");
  assert.equal(escaped("\x1b[2J\x00\x9b\u202e\u2028\ud800"), "\\u{1b}[2J\\u{0}\\u{9b}\\u{202e}\\u{2028}\\u{d800}");
  assert.equal(escaped("ünï ☃ 🐇 日本"), "ünï ☃ 🐇 日本");
});

test("values become cells as rabbitmqctl's users know them", () => {
  const cells = [undefined, null, "", 5, 1.23456, true, ["a", "b\t"], [], { a: "\n" }, [1]].map(cellOf);
  assert.deepEqual(cells, ["", "", "", "5", "1.23", "true", "[a, b\\t]", "[]", '{"a":"\\\\n"}', "[1]"]);
});

test("a table is aligned for people and has tabs for programs", () => {
  const rows = [["a", 10], ["ünï", null]];
  assert.equal(tableText(["name", "n"], rows, { header: true, aligned: true }), "name  n\na     10\nünï\n");
  assert.equal(tableText(["name", "n"], rows, { header: true, aligned: false }), "name\tn\na\t10\nünï\t\n");
  assert.equal(tableText(["name", "n"], rows, { header: false, aligned: true }), "a    10\nünï\n");
  assert.equal(tableText(["name"], [], { header: false, aligned: true }), "");
});

test("an outline indents what is within", () => {
  assert.equal(outlineText({ a: 1, b: { c: [], d: { e: "x" } }, f: {} }), "a: 1\nb:\n  c: []\n  d:\n    e: x\nf: {}\n");
});
