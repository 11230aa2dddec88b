import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isTopicFilter } from "../wire/mqtt_text.ts";
import { KeyTree } from "./key_tree.ts";
import { Publication } from "./publication.ts";
import { argumentsOf, optionsOf, patternMatches, Subscriptions } from "./subscriptions.ts";
import { TopicMapping } from "./topics.ts";

const MAPPING = new TopicMapping("exact");
const level = fc.constantFrom("a", "b", "", "$x", "é", "a.b", "*");
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/")).filter((name) =>
  name !== ""
);
const filter = fc.array(fc.oneof(level, fc.constantFrom("+", "#")), { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join("/")).filter(isTopicFilter);

/** 4.7 of the standard, as it is written. */
function matches(name: string, pattern: string): boolean {
  if (name.startsWith("$") && /^[+#]/.test(pattern)) return false;
  const [levels, parts] = [name.split("/"), pattern.split("/")];
  const last = parts.at(-1) === "#";
  const fixed = last ? parts.slice(0, -1) : parts;
  if (last ? levels.length < fixed.length : levels.length !== fixed.length) return false;
  return fixed.every((part, index) => part === "+" || part === levels[index]);
}

test("a filter matches as the standard says, with the exact mapping [MQTT-4.7.1-1 to MQTT-4.7.3-4]", () => {
  fc.assert(
    fc.property(topic, filter, (name, pattern) => {
      const words = MAPPING.keyOf(name).split(".");
      assert.equal(patternMatches(MAPPING.patternOf(pattern), words), matches(name, pattern), `${pattern}: ${name}`);
    }),
    { numRuns: 2000 },
  );
});

test("what is retained is found by a filter as it would match, and is gone when it is taken away", () => {
  fc.assert(
    fc.property(fc.array(topic, { maxLength: 12 }), fc.array(topic, { maxLength: 6 }), filter, (all, gone, pattern) => {
      const tree = new KeyTree<string>();
      for (const name of all) tree.set(MAPPING.keyOf(name), name);
      for (const name of gone) tree.delete(MAPPING.keyOf(name));
      const expected = [...new Set(all)].filter((name) => !gone.includes(name) && matches(name, pattern));
      assert.deepEqual(tree.match(MAPPING.patternOf(pattern)).sort(), expected.sort());
    }),
  );
});

test("several subscriptions are as one: the best QoS, all identifiers, the same for the same topic again", () => {
  const options = fc.record({
    pattern: filter.map((one) => MAPPING.patternOf(one)),
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    noLocal: fc.boolean(),
    retainAsPublished: fc.boolean(),
    id: fc.nat(3),
  });
  const publication = new Publication(MAPPING);
  fc.assert(
    fc.property(fc.array(options, { minLength: 2, maxLength: 6 }), fc.array(topic, { maxLength: 6 }), (all, names) => {
      const subscriptions = new Subscriptions();
      for (const one of all) {
        subscriptions.set(one);
        for (const name of [...names, ...names]) {
          publication.setTopicText(name);
          const message = publication.message;
          const hit = [...subscriptions.values()].filter(({ pattern }) => {
            return patternMatches(pattern, MAPPING.keyOf(name).split("."));
          });
          // With one alone it is asked only for what came by it.
          if (subscriptions.size === 1 && hit.length === 0) continue;
          const ids = hit.map(({ id }) => id).filter((id) => id !== 0);
          const expected = hit.length === 0 ? null : {
            qos: Math.max(...hit.map(({ qos }) => qos)),
            retainAsPublished: hit.some(({ retainAsPublished }) => retainAsPublished),
            ids: ids.length === 0 ? null : ids,
          };
          assert.deepEqual(subscriptions.match(message), expected);
        }
      }
    }),
  );
});

test("options come back from a binding's arguments", () => {
  const options = fc.record({
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    noLocal: fc.boolean(),
    retainAsPublished: fc.boolean(),
    id: fc.nat(268_435_455),
  });
  fc.assert(fc.property(options, (given) => {
    assert.deepEqual(optionsOf(argumentsOf(given), given.qos === 0 ? 0 : 1), { ...given });
  }));
});

test("with the exact mapping every topic is its own routing key, and comes back from it", () => {
  fc.assert(fc.property(topic, topic, (one, other) => {
    assert.equal(MAPPING.topicOf(MAPPING.keyOf(one)), one);
    assert.equal(MAPPING.keyOf(one) === MAPPING.keyOf(other), one === other);
  }));
  const rabbit = new TopicMapping("rabbitmq");
  assert.equal(rabbit.keyOf("a.b/c"), rabbit.keyOf("a/b/c"));
});
