import { test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import { TopicTree } from "./topic_tree.ts";

function matches(patterns: string[], topic: string): string[] {
  const tree = new TopicTree<string>();
  for (const pattern of patterns) tree.set(pattern, pattern);
  const found: string[] = [];
  tree.match(topic, (value) => found.push(value));
  return found.sort();
}

function wordsOf(key: string): string[] {
  return key === "" ? [] : key.split(".");
}

/** The rule itself, by the book: * is one word, # any number of them. */
function accepts(pattern: string[], topic: string[]): boolean {
  if (pattern.length === 0) return topic.length === 0;
  const [first, ...rest] = pattern;
  if (first === "#") return accepts(rest, topic) || (topic.length > 0 && accepts(pattern, topic.slice(1)));
  return topic.length > 0 && (first === "*" || first === topic[0]) && accepts(rest, topic.slice(1));
}

test("words, stars and hashes match as AMQP says", () => {
  const patterns = ["a.b.c", "a.*.c", "a.#", "#", "#.c", "*.*.*", "a.b", "a.#.b.#", "#.#", "", "*", "*.#"];
  assert.deepEqual(
    matches(patterns, "a.b.c"),
    ["#", "#.#", "#.c", "*.#", "*.*.*", "a.#", "a.#.b.#", "a.*.c", "a.b.c"].sort(),
  );
  assert.deepEqual(matches(patterns, "a"), ["#", "#.#", "a.#", "*", "*.#"].sort());
  assert.deepEqual(matches(patterns, ""), ["", "#", "#.#"].sort());
});

test("the tree agrees with the rule for any patterns and topics", () => {
  const word = fc.constantFrom("a", "b", "");
  const pattern = fc.array(fc.oneof(word, fc.constantFrom("*", "#")), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(
      fc.array(pattern, { maxLength: 12 }),
      fc.array(word, { minLength: 1, maxLength: 6 }),
      (patterns, topic) => {
        const texts = [...new Set(patterns.map((words) => words.join(".")))];
        const expected = texts.filter((text) => accepts(wordsOf(text), wordsOf(topic.join(".")))).sort();
        assert.deepEqual(matches(texts, topic.join(".")), expected);
      },
    ),
    { numRuns: 2000 },
  );
});

test("what is removed no longer matches, and what it shared words with stays", () => {
  const tree = new TopicTree<number>();
  tree.set("a.#.b", 1);
  tree.set("a.#", 2);
  assert.deepEqual([tree.get("a.#.b"), tree.get("a.#"), tree.get("a"), tree.get("a.#.b.c")], [
    1,
    2,
    undefined,
    undefined,
  ]);
  assert.ok(tree.delete("a.#.b"));
  assert.ok(!tree.delete("a.#.b"));
  assert.ok(!tree.delete("never.there"));
  assert.ok(!tree.delete("a"));
  const found: number[] = [];
  tree.match("a.x.b", (value) => found.push(value));
  assert.deepEqual(found, [2]);
  assert.ok(tree.delete("a.#"));
  tree.match("a.x.b", (value) => found.push(value));
  assert.deepEqual(found, [2]);
});

test("a pattern of many hashes does not blow up", () => {
  const pattern = Array(60).fill("#").join(".#.x.") + ".y";
  assert.deepEqual(matches([pattern], Array(120).fill("x").join(".")), []);
});
