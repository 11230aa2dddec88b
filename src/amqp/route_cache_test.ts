import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ExchangeCounters } from "../core/statistics/counters.ts";
import { Known, RouteCache } from "./route_cache.ts";

const encoder = new TextEncoder();
const place = (): Known => new Known([], false, 0, new ExchangeCounters());

/** A cache that is asked by name, in the middle of other bytes. */
function cacheOf() {
  const cache = new RouteCache();
  const bytesOf = (name: string) => encoder.encode(`..${name}..`);
  return {
    find: (name: string, revision = 1) => cache.find(bytesOf(name), 2, encoder.encode(name).length, revision),
    add: (name: string, known: Known, revision = 1) =>
      cache.add(bytesOf(name), 2, encoder.encode(name).length, revision, known),
  };
}

test("what was added is found, by its bytes alone, and until the revision changes", () => {
  const { find, add } = cacheOf();
  const [a, b] = [place(), place()];
  assert.equal(find("a"), null);
  add("a", a);
  add("ab", b);
  assert.equal(find("a"), a);
  assert.equal(find("ab"), b);
  assert.equal(find("b"), null);
  assert.equal(find("a", 2), null);
  add("a", b, 2);
  assert.equal(find("a", 2), b);
});

test("thousands of routes are found, nearly all of them, and none is taken for another, nor kept without end", () => {
  const { find, add } = cacheOf();
  const known = new Map(Array.from({ length: 2000 }, (_, index) => [`queue-${index}`, place()] as const));
  for (const [name, value] of known) add(name, value);
  let found = 0;
  for (const [name, value] of known) {
    const answer = find(name);
    assert.ok(answer === null || answer === value, name);
    if (answer === value) found++;
  }
  assert.ok(found > 1990, `${found} of 2000`);
  for (let index = 0; index < 20_000; index++) add(`other-${index}`, place());
  assert.equal(find("never"), null);
});

test("whatever is added while routes change, what is found is what was added last", () => {
  const name = fc.oneof(fc.stringMatching(/^[ab]{0,3}$/), fc.nat(300).map((number) => `queue-${number}`));
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ add: name }) },
    { weight: 8, arbitrary: fc.record({ find: name }) },
    { weight: 1, arbitrary: fc.constant("change" as const) },
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 400, size: "max" }), (steps) => {
    const { find, add } = cacheOf();
    const added = new Map<string, Known>();
    let revision = 1;
    for (const one of steps) {
      if (one === "change") {
        revision++;
        added.clear();
      } else if ("add" in one) {
        const known = place();
        add(one.add, known, revision);
        added.set(one.add, known);
        assert.equal(find(one.add, revision), known);
      } else {
        const found = find(one.find, revision);
        assert.ok(found === null || found === added.get(one.find));
      }
    }
  }));
});
