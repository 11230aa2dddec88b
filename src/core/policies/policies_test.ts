import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry } from "../definitions.ts";
import { Refusal } from "../refusal.ts";
import type { JsonObject } from "./json.ts";
import { Policies } from "./policies.ts";
import type { PolicyRequest } from "./policy.ts";

function setUp() {
  const log: Entry[] = [];
  const policies = new Policies("/", { append: (entry) => void log.push(entry) });
  const put = (name: string, definition: JsonObject, rest: Partial<PolicyRequest> = {}) =>
    policies.put("policy", name, { pattern: ".*", definition, ...rest });
  const putOperator = (name: string, definition: JsonObject, rest: Partial<PolicyRequest> = {}) =>
    policies.put("operator-policy", name, { pattern: ".*", definition, ...rest });
  return { policies, log, put, putOperator };
}

test("of the policies that match the one with the highest priority holds, alone", () => {
  const { policies, put } = setUp();
  put("low", { "max-length": 1, "message-ttl": 5 });
  put("high", { "max-length": 2 }, { priority: 7 });
  put("other", { "max-length": 3 }, { priority: 9, pattern: "^other" });
  assert.equal(policies.effective("classic", "q")!.policy!.name, "high");
  assert.deepEqual(policies.effective("classic", "q")!.definition, { "max-length": 2 });
  assert.equal(policies.effective("classic", "other.q")!.policy!.name, "other");
  policies.delete("policy", "high");
  assert.deepEqual(policies.effective("classic", "q")!.definition, { "max-length": 1, "message-ttl": 5 });
  policies.delete("policy", "low");
  assert.equal(policies.effective("classic", "q"), null);
});

test("apply-to says for what", () => {
  const { policies, put } = setUp();
  const types = ["classic", "quorum", "stream", "exchange"] as const;
  const holdsFor = (applyTo: string) => {
    put("p", { "max-length": 1 }, { applyTo });
    return types.filter((type) => policies.effective(type, "x") !== null);
  };
  assert.deepEqual(holdsFor("all"), types);
  assert.deepEqual(holdsFor("queues"), ["classic", "quorum", "stream"]);
  assert.deepEqual(holdsFor("exchanges"), ["exchange"]);
  assert.deepEqual(holdsFor("classic_queues"), ["classic"]);
  assert.deepEqual(holdsFor("quorum_queues"), ["quorum"]);
  assert.deepEqual(holdsFor("streams"), ["stream"]);
});

test("a policy with a key that is not for queues of a type is not for them at all", () => {
  const { policies, put } = setUp();
  put("retention", { "max-age": "1D", "max-length-bytes": 5 });
  put("mixed", { "message-ttl": 5, "ha-mode": "all" }, { priority: 1 });
  const named = (["classic", "quorum", "stream", "exchange"] as const).map((type) => {
    return policies.effective(type, "x")?.policy?.name;
  });
  assert.deepEqual(named, ["mixed", undefined, "retention", "mixed"]);
});

test("an operator policy goes together with a policy: of numbers the lower one, otherwise the operator's", () => {
  const { policies, put, putOperator } = setUp();
  putOperator("op", { "max-length": 5, "message-ttl": 50, "delivery-limit": -1, overflow: "drop-head" });
  put("p", { "max-length": 9, "message-ttl": 10, "delivery-limit": 3, overflow: "reject-publish", expires: 7 });
  const { policy, operatorPolicy, definition } = policies.effective("classic", "q")!;
  assert.deepEqual([policy!.name, operatorPolicy!.name], ["p", "op"]);
  assert.deepEqual(definition, {
    "max-length": 5,
    "message-ttl": 10,
    // As with RabbitMQ: less than 0 is none, and that is the higher one.
    "delivery-limit": 3,
    overflow: "drop-head",
    expires: 7,
  });
});

test("what is the same gives the same object, so that nothing is changed for nothing", () => {
  const { policies, put, putOperator } = setUp();
  put("p", { "max-length": 9 });
  putOperator("op", { "max-length": 5 });
  const before = policies.effective("classic", "q");
  put("elsewhere", { "max-length": 1 }, { pattern: "^nothing$" });
  assert.equal(policies.effective("classic", "q"), before);
  assert.equal(policies.effective("classic", "r"), before);
  put("p", { "max-length": 9 });
  assert.notEqual(policies.effective("classic", "q"), before);
});

test("what is not valid is refused in RabbitMQ's words", () => {
  const { put, putOperator } = setUp();
  const refuses = (text: string | RegExp, act: () => unknown) => {
    assert.throws(act, (error) => {
      assert.ok(error instanceof Refusal);
      if (typeof text === "string") assert.equal(error.message, `Validation failed\n\n${text}\n`);
      else assert.match(error.message, text);
      return true;
    });
  };
  refuses("no policy provided", () => put("p", {}));
  refuses('[{<<"foo">>,1}] are not recognised policy settings', () => put("p", { foo: 1 }));
  refuses('<<"x">> is not a valid message TTL', () => put("p", { "message-ttl": "x" }));
  refuses("-1 is not a valid maximum length", () => put("p", { "max-length": -1 }));
  refuses("0 is not a valid queue expiry", () => put("p", { expires: 0 }));
  refuses('<<"1x">> is not a valid max age', () => put("p", { "max-age": "1x" }));
  refuses('<<"later">> is not a valid overflow value', () => put("p", { overflow: "later" }));
  refuses(/apply-to 'x' unrecognised/, () => put("p", { "max-length": 1 }, { applyTo: "x" }));
  refuses('priority should be a number, actually was <<"x">>', () => put("p", { "max-length": 1 }, { priority: "x" }));
  refuses("pattern should be a binary but was 1", () => put("p", { "max-length": 1 }, { pattern: 1 }));
  refuses(/pattern should be regular expression but is invalid: missing \)/, () => {
    put("p", { "max-length": 1 }, { pattern: "(" });
  });
  refuses('[{<<"dead-letter-exchange">>,<<"x">>}] are not recognised policy settings', () => {
    putOperator("p", { "dead-letter-exchange": "x" });
  });
  // What RabbitMQ's and LavinMQ's files hold is taken, though it means nothing here.
  put("p", { "ha-mode": "all", "queue-mode": "lazy", "federation-upstream-set": "all", "delayed-message": true });
});

test("policies come back from their entries", () => {
  const { policies, log, put, putOperator } = setUp();
  put("gone", { "max-length": 1 });
  put("p", { "max-length": 2 }, { pattern: "^(?!amq\\.)", priority: 3, applyTo: "queues" });
  putOperator("op", { expires: 9 });
  policies.delete("policy", "gone");
  assert.equal(log.at(-1)!.op, "policy-delete");
  const again = setUp().policies;
  for (const entry of policies.entries()) again.restore(JSON.parse(JSON.stringify(entry)));
  assert.deepEqual(again.effective("classic", "q")!.definition, { "max-length": 2, expires: 9 });
  assert.deepEqual(again.effective("classic", "amq.q")!.definition, { expires: 9 });
});
