import assert from "node:assert/strict";
import { test } from "node:test";
import { type Busy, rank } from "./top.ts";

test("queues are ranked by traffic, then by length, each once", () => {
  const queue = (name: string, fields: Partial<Busy> = {}): Busy => {
    return { vhost: "/", name, ready: 0, unacknowledged: 0, consumers: 0, in: 0, out: 0, ack: 0, ...fields };
  };
  const busy = queue("busy", { in: 5, out: 5 });
  const read = queue("read", { out: 9 });
  const long = queue("long", { ready: 70, unacknowledged: 1 });
  const other = queue("long", { vhost: "b", ready: 70 });
  assert.deepEqual(rank([long, read, queue("idle"), busy, other, busy, long], 4), [busy, read, long, other]);
});
