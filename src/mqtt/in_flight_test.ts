import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Queue } from "../core/queue.ts";
import { EXPECTS_PUBACK, EXPECTS_PUBCOMP, EXPECTS_PUBREC, FREE, InFlight } from "./in_flight.ts";

const QUEUE = { name: "q" } as Queue;

test("an identifier is given out only when it is free, whatever is acknowledged in which order [MQTT-2.2.1-4]", () => {
  const steps = fc.array(fc.tuple(fc.constantFrom("add", "remove", "received"), fc.nat()), { maxLength: 300 });
  fc.assert(fc.property(steps, (all) => {
    const ring = new InFlight();
    const expected = new Map<number, { tag: number; position: number; released: boolean }>();
    let position = 0;
    for (const [what, choice] of all) {
      if (what === "add") {
        const tag = ring.next;
        const id = ring.add(2, QUEUE, ++position, position + 1, position + 2);
        assert.ok(id >= 1 && id <= 65_535 && !expected.has(id));
        expected.set(id, { tag, position, released: false });
      } else if (expected.size > 0) {
        const id = [...expected.keys()][choice % expected.size]!;
        const { tag } = expected.get(id)!;
        if (what === "remove") {
          ring.remove(tag);
          expected.delete(id);
        } else {
          ring.received(tag);
          expected.get(id)!.released = true;
        }
      }
      assert.equal(ring.count, expected.size);
      for (const [id, { tag, position, released }] of expected) {
        assert.deepEqual([ring.find(id), ring.idOf(tag)], [tag, id]);
        assert.equal(ring.stateOf(tag), released ? EXPECTS_PUBCOMP : EXPECTS_PUBREC);
        const { position: at, recordBytes, bodyBytes } = ring.sentAt(tag);
        assert.deepEqual([at, recordBytes, bodyBytes], [position, position + 1, position + 2]);
      }
    }
    for (const id of [0, 1, 65_535]) if (!expected.has(id)) assert.equal(ring.find(id), -1);
  }));
});

test("identifiers go round at 65,535, and one that is not acknowledged holds up those behind it", () => {
  const ring = new InFlight();
  assert.equal(ring.add(1, QUEUE, 0, 0, 0), 1);
  for (let id = 2; id <= 65_535; id++) {
    const tag = ring.next;
    assert.equal(ring.add(1, QUEUE, id, 0, 0), id);
    ring.remove(tag);
  }
  assert.deepEqual([ring.hasRoom, ring.count, ring.find(1)], [false, 1, 0]);
  assert.equal(ring.stateOf(0), EXPECTS_PUBACK);
  ring.remove(0);
  assert.deepEqual([ring.hasRoom, ring.stateOf(0), ring.first], [true, FREE, ring.next]);
  assert.equal(ring.add(1, QUEUE, 7, 0, 0), 1);
  assert.equal(ring.sentAt(ring.find(1)).position, 7);
});
