// docs/mqtt.md names a test, or a reason, for each numbered statement of the standards: the tables are complete, and the
// tests are there.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../", import.meta.url);
/** Where `name: words of a test's name` may lead, NAME put in. */
const PLACES = ["test/mqtt/NAME_test.ts", "src/mqtt/NAME_test.ts", "src/wire/mqtt_NAME_test.ts"];
const REASONS = ["does not apply: ", "every test: ", "not yet"];

/** Each section with statements and how many it has; 5.0 has no 2.2.1-1. */
const STATEMENTS = {
  "MQTT 5.0": "1.5.4 3, 1.5.5 1, 1.5.7 1, 2.1.3 1, 2.2.1 6, 2.2.2 1, 3.1.0 2, 3.1.2 30, 3.1.3 12, 3.1.4 6, 3.2.0 2, " +
    "3.2.2 22, 3.3.1 13, 3.3.2 20, 3.3.4 10, 3.4.2 3, 3.5.2 3, 3.6.1 1, 3.6.2 3, 3.7.2 3, 3.8.1 1, 3.8.3 5, 3.8.4 8, " +
    "3.9.2 2, 3.9.3 2, 3.10.1 1, 3.10.3 2, 3.10.4 6, 3.11.2 2, 3.11.3 2, 3.12.4 1, 3.14.0 1, 3.14.1 1, 3.14.2 4, " +
    "3.14.4 3, 3.15.1 1, 3.15.2 3, 4.1.0 2, 4.2.0 1, 4.3.1 1, 4.3.2 5, 4.3.3 13, 4.4.0 2, 4.5.0 2, 4.6.0 6, 4.7.0 1, " +
    "4.7.1 2, 4.7.2 1, 4.7.3 4, 4.8.2 6, 4.9.0 3, 4.12.0 7, 4.12.1 2, 4.13.1 1, 4.13.2 1, 6.0.0 4",
  "MQTT 3.1.1":
    "1.5.3 3, 2.2.2 2, 2.3.1 7, 3.1.0 2, 3.1.2 24, 3.1.3 11, 3.1.4 5, 3.2.0 1, 3.2.2 6, 3.3.1 12, 3.3.2 3, " +
    "3.3.4 1, 3.3.5 2, 3.6.1 1, 3.8.1 1, 3.8.3 4, 3.8.4 6, 3.9.3 2, 3.10.1 1, 3.10.3 2, 3.10.4 6, 3.12.4 1, 3.14.1 1, " +
    "3.14.4 3, 4.1.0 2, 4.3.1 1, 4.3.2 2, 4.3.3 2, 4.4.0 1, 4.5.0 2, 4.6.0 6, 4.7.1 3, 4.7.2 1, 4.7.3 4, 4.8.0 2, " +
    "6.0.0 4, 7.0.0 2, 7.1.1 1, 7.1.2 1",
} as const;
type Standard = keyof typeof STATEMENTS;

const read = (path: string): string => readFileSync(new URL(path, ROOT), "utf8");

function statementsOf(standard: Standard): Set<string> {
  const all = new Set<string>();
  for (const entry of STATEMENTS[standard].split(", ")) {
    const [section, count] = entry.split(" ");
    for (let number = 1; number <= Number(count); number++) all.add(`${section}-${number}`);
  }
  if (standard === "MQTT 5.0") all.delete("2.2.1-1");
  return all;
}

/** `3.1.2-1, -3 to -5, 3.2.0-1` as numbers. */
function numbersOf(text: string): string[] {
  const numbers: string[] = [];
  let section = "";
  for (const part of text.split(", ")) {
    const parts = /^([\d.]*)-(\d+)(?: to -(\d+))?$/.exec(part);
    assert.ok(parts !== null, `'${part}' is no number of a statement`);
    if (parts[1] !== "") section = parts[1]!;
    const first = Number(parts[2]);
    for (let number = first; number <= Number(parts[3] ?? first); number++) numbers.push(`${section}-${number}`);
  }
  return numbers;
}

/** What the manual has of a standard: rows, and the numbers that are for clients only. */
function chapterOf(standard: Standard): { rows: [numbers: string, what: string, shownBy: string][]; clients: string } {
  const manual = read("docs/mqtt.md");
  const chapter = manual.slice(manual.indexOf(`### ${standard}\n`)).split("\n### ")[0]!;
  const lines = chapter.split("\n").filter((line) => /^\| \d/.test(line));
  const rows = lines.map((line) => line.slice(2, -2).split(" | ") as [string, string, string]);
  return { rows, clients: /^For clients only: (.*)\.$/m.exec(chapter)![1]! };
}

for (const standard of Object.keys(STATEMENTS) as Standard[]) {
  test(`docs/mqtt.md has each statement of ${standard} once`, () => {
    const { rows, clients } = chapterOf(standard);
    const seen = new Set<string>();
    const missing = statementsOf(standard);
    for (const number of [...rows.flatMap(([numbers]) => numbersOf(numbers)), ...numbersOf(clients)]) {
      assert.ok(!seen.has(number), `${number} is there twice`);
      seen.add(number);
      assert.ok(missing.delete(number), `${number} is no statement of ${standard}`);
    }
    assert.deepEqual([...missing], []);
  });

  test(`docs/mqtt.md names tests of ${standard} that are there`, () => {
    for (const [numbers, what, shownBy] of chapterOf(standard).rows) {
      assert.ok(what.length > 0);
      if (REASONS.some((reason) => shownBy.startsWith(reason))) continue;
      for (const reference of shownBy.split("; ")) {
        const [, name, words] = /^(\w+): (.+)$/.exec(reference) ?? [];
        assert.ok(name !== undefined && words !== undefined, `${numbers}: '${reference}' names no test`);
        const path = PLACES.map((place) => place.replace("NAME", name)).find((one) => existsSync(new URL(one, ROOT)));
        assert.ok(path !== undefined, `${numbers}: there is no test file '${name}'`);
        const titles = read(path).split("\n").filter((line) => /^\s*test\(/.test(line));
        assert.ok(
          titles.some((title) => title.includes(words)),
          `${numbers}: no test in ${path} has '${words}' in its name`,
        );
      }
    }
  });
}

test("the statements that the code and its tests name are there", () => {
  const folders = ["src/mqtt/", "src/wire/", "test/mqtt/"];
  for (const folder of folders) {
    for (const name of readdirSync(new URL(folder, ROOT))) {
      if (!name.endsWith(".ts")) continue;
      for (const [, old, number] of read(folder + name).matchAll(/(3\.1\.1: )?MQTT-([\d.]+-\d+)/g)) {
        const standard = old === undefined ? "MQTT 5.0" : "MQTT 3.1.1";
        assert.ok(statementsOf(standard).has(number!), `${folder}${name}: ${number} is no statement of ${standard}`);
      }
    }
  }
});
