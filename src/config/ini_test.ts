import assert from "node:assert/strict";
import { test } from "node:test";
import { parseIni } from "./ini.ts";

test("an INI file is sections of keys with values, each with its line", () => {
  const file = parseIni("[main]\ndata_dir = /data\n\n[sni.b.example.com]\n  cert=x.pem  \n", "a.ini");
  assert.deepEqual(file.sections, [{ name: "main", line: 1 }, { name: "sni.b.example.com", line: 4 }]);
  assert.deepEqual(file.entries, [
    { section: "main", key: "data_dir", value: "/data", line: 2 },
    { section: "sni.b.example.com", key: "cert", value: "x.pem", line: 5 },
  ]);
});

test("a value keeps every '=', ';' and '#' behind the first '='", () => {
  const { entries } = parseIni("[a]\nuri = amqp://h/?x=1;y#z\nempty =\n", "a.ini");
  assert.deepEqual(entries.map((entry) => entry.value), ["amqp://h/?x=1;y#z", ""]);
});

test("comments stand at the start of a line, behind blanks too", () => {
  assert.deepEqual(parseIni("; a\n# b = c\n  ; d\n", "a.ini"), { sections: [], entries: [] });
});

test("a byte order mark and CRLF line ends are no part of names and values", () => {
  assert.deepEqual(parseIni("\uFEFF[a]\r\nb = c\r\n", "a.ini").entries, [{
    section: "a",
    key: "b",
    value: "c",
    line: 2,
  }]);
});

test("a section may be continued, a key may not be repeated", () => {
  assert.equal(parseIni("[a]\nx=1\n[b]\nx=1\n[a]\ny=2\n", "a.ini").entries.length, 3);
  assert.throws(() => parseIni("[a]\nx=1\n[b]\n[a]\nx=2\n", "a.ini"), {
    message: "a.ini, line 5: key 'x' in [a] is already set in line 2",
  });
});

for (
  const [what, content, message] of [
    ["a line without '='", "[a]\nhello", "a.ini, line 2: expected 'key = value' or '[section]'"],
    ["a section that is not closed", "[a\n", "a.ini, line 1: expected ']' at the end of the section '[a'"],
    ["a section without a name", "[ ]\n", "a.ini, line 1: expected a section name, found '[ ]'"],
    ["a value without a key", "[a]\n= 3\n", "a.ini, line 2: expected a key before '='"],
    ["a key before any section", "x = 3\n", "a.ini, line 1: key 'x' stands before the first [section]"],
  ] as const
) {
  test(`${what} is refused with its line`, () => {
    assert.throws(() => parseIni(content, "a.ini"), { name: "ConfigFault", message });
  });
}
