import { test } from "node:test";
import assert from "node:assert/strict";
import { type FieldTable, toPlain } from "../wire/amqp_table.ts";
import { addDeath, type Death, type DeathReason, isCycle } from "./x_death.ts";

function death(queue: string, reason: DeathReason, more: Partial<Death> = {}): Death {
  return {
    queue,
    reason,
    exchange: "x",
    routingKeys: ["k"],
    expiration: undefined,
    timeMs: 1_800_000_000_999,
    ...more,
  };
}

function headersAfter(...deaths: Death[]): FieldTable {
  const headers: FieldTable = new Map();
  for (const each of deaths) addDeath(headers, each);
  return headers;
}

test("a death has the types that RabbitMQ gives it", () => {
  const headers = headersAfter(death("q", "expired", { expiration: "60000", routingKeys: ["k", "cc"] }));
  const { type, value } = headers.get("x-death")!;
  assert.equal(type, "A");
  const [entry] = value as unknown as [{ type: string; value: FieldTable }];
  assert.equal(entry.type, "F");
  assert.deepEqual([...entry.value].map(([name, field]) => [name, field.type]), [
    ["count", "l"],
    ["reason", "S"],
    ["queue", "S"],
    ["time", "T"],
    ["exchange", "S"],
    ["routing-keys", "A"],
    ["original-expiration", "S"],
  ]);
  assert.deepEqual(toPlain(entry.value), {
    count: 1,
    reason: "expired",
    queue: "q",
    time: 1_800_000_000,
    exchange: "x",
    "routing-keys": ["k", "cc"],
    "original-expiration": "60000",
  });
});

test("the same queue and reason counts and comes first; another reason has its own count (behaviours 50)", () => {
  const headers = headersAfter(
    death("a", "rejected"),
    death("b", "expired"),
    death("a", "rejected", { timeMs: 1_900_000_000_000 }),
    death("a", "expired"),
  );
  const deaths = toPlain(headers)["x-death"] as { queue: string; reason: string; count: number; time: number }[];
  assert.deepEqual(deaths.map(({ queue, reason, count }) => [queue, reason, count]), [
    ["a", "expired", 1],
    ["a", "rejected", 2],
    ["b", "expired", 1],
  ]);
  assert.equal(deaths[1]!.time, 1_800_000_000, "of its first death there");
  assert.equal(toPlain(headers)["x-first-death-reason"], "rejected");
  assert.equal(toPlain(headers)["x-last-death-reason"], "expired");
});

test("what a client has written where deaths are is passed over, and never breaks anything", () => {
  for (const value of ["text", 7, null, [], [{ type: "S", value: "x" }]]) {
    const headers = new Map([["x-death", { type: "A", value }]]) as unknown as FieldTable;
    assert.ok(!isCycle(headers, "q"));
    addDeath(headers, death("q", "expired"));
    assert.equal((toPlain(headers)["x-death"] as unknown[]).length, 1);
  }
  const forged = new Map([["count", { type: "S", value: "many" }], ["queue", { type: "S", value: "q" }], [
    "reason",
    { type: "S", value: "expired" },
  ]]);
  const headers = new Map([["x-death", { type: "A", value: [{ type: "F", value: forged }] }]]) as unknown as FieldTable;
  addDeath(headers, death("q", "expired"));
  assert.equal((toPlain(headers)["x-death"] as { count: number }[])[0]!.count, 1);
});

test("a message goes in circles when it was there and has not been rejected since (behaviours 51)", () => {
  assert.ok(!isCycle(headersAfter(), "a"));
  assert.ok(isCycle(headersAfter(death("a", "expired")), "a"));
  assert.ok(isCycle(headersAfter(death("a", "expired"), death("b", "maxlen")), "a"));
  assert.ok(!isCycle(headersAfter(death("a", "expired"), death("b", "maxlen")), "c"));
  assert.ok(!isCycle(headersAfter(death("a", "expired"), death("b", "rejected")), "a"));
  assert.ok(!isCycle(headersAfter(death("a", "rejected")), "a"));
  assert.ok(isCycle(headersAfter(death("a", "rejected"), death("a", "expired")), "a"));
});
