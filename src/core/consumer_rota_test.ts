import { test } from "node:test";
import fc from "fast-check";
import assert from "node:assert/strict";
import { type Candidate, checkConsumers, ConsumerRota } from "./consumer_rota.ts";

class Eater implements Candidate {
  readonly name: string;
  readonly priority: number;
  room: number;

  constructor(name: string, priority = 0, room = Infinity) {
    this.name = name;
    this.priority = priority;
    this.room = room;
  }

  ready(): boolean {
    return this.room > 0;
  }
}

function served(rota: ConsumerRota<Eater>, count: number): string {
  const names: string[] = [];
  for (let index = 0; index < count; index++) {
    const eater = rota.pick();
    if (eater !== null) eater.room--;
    names.push(eater?.name ?? "-");
  }
  return names.join("");
}

function rotaOf(...eaters: Eater[]): ConsumerRota<Eater> {
  const rota = new ConsumerRota<Eater>(false);
  for (const eater of eaters) rota.add(eater);
  return rota;
}

test("equals take turns, also when some come and go (behaviours 42)", () => {
  const [a, b, c] = [new Eater("a"), new Eater("b"), new Eater("c")];
  const rota = rotaOf(a, b, c);
  assert.equal(served(rota, 4), "abca");
  assert.ok(rota.remove(a));
  assert.ok(!rota.remove(a));
  assert.equal(served(rota, 3), "bcb");
  rota.add(a);
  assert.equal(served(rota, 3), "cab");
});

test("a higher priority is served until it is full, equals within it in turns (behaviours 42)", () => {
  const high = [new Eater("x", 9, 2), new Eater("y", 9, 3)];
  const rota = rotaOf(new Eater("a"), high[0]!, new Eater("b"), high[1]!, new Eater("l", -1));
  assert.equal(served(rota, 8), "xyxyyaba");
  high[0]!.room = 1;
  assert.equal(served(rota, 3), "xba");
  for (const eater of high) rota.remove(eater);
  assert.equal(served(rota, 2), "ba");
});

test("when all are of one rank again nobody is favoured", () => {
  const [a, b, high] = [new Eater("a"), new Eater("b"), new Eater("h", 1)];
  const rota = rotaOf(a, b, high);
  assert.equal(served(rota, 2), "hh");
  rota.remove(high);
  assert.equal([...served(rota, 4)].sort().join(""), "aabb");
});

test("a single active one is served alone until it leaves (behaviours 43)", () => {
  const rota = new ConsumerRota<Eater>(true);
  const [a, b, c] = [new Eater("a", 0, 2), new Eater("b", 5), new Eater("c")];
  for (const eater of [a, b, c]) rota.add(eater);
  assert.equal(served(rota, 4), "aa--");
  rota.remove(c);
  a.room = 1;
  assert.equal(served(rota, 2), "a-");
  rota.remove(a);
  assert.equal(served(rota, 2), "bb");
  assert.deepEqual(rota.clear(), [b]);
  assert.equal(served(rota, 1), "-");
  rota.add(a);
  a.room = 1;
  assert.equal(served(rota, 1), "a");
});

test("equals come and go at the end without the others being looked at", () => {
  let looks = 0;
  class Shy extends Eater {
    constructor() {
      super("s");
      Object.defineProperty(this, "priority", { get: () => (looks++, 0) });
    }
  }
  const rota = new ConsumerRota<Eater>(false);
  const many = Array.from({ length: 2000 }, () => new Shy());
  for (const eater of many) rota.add(eater);
  for (const eater of many.reverse()) assert.ok(rota.remove(eater));
  assert.ok(looks < 10 * many.length, `2000 equals were asked for their priority ${looks} times`);
});

test("of a queue's consumers only the first is asked whether it is alone", () => {
  let looks = 0;
  const others = Array.from(
    { length: 2000 },
    () => Object.defineProperty({}, "exclusive", { get: () => (looks++, false) }),
  );
  checkConsumers(others as { exclusive: boolean }[], false, "queue 'q'");
  assert.ok(looks <= 1, `${looks} were asked`);
  assert.throws(() => checkConsumers([{ exclusive: true }], false, "queue 'q'"), /in exclusive use/);
});

test("whoever comes and goes: the highest that are ready are served, equals in turns, in order of priority and arrival", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("add" as const), priority: fc.integer({ min: -1, max: 2 }) }),
    fc.record({ kind: fc.constant("remove" as const), at: fc.nat(9) }),
    fc.record({ kind: fc.constant("room" as const), at: fc.nat(9), room: fc.constantFrom(0, Infinity) }),
    fc.record({ kind: fc.constant("pick" as const) }),
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const rota = new ConsumerRota<Eater>(false);
    const model: Eater[] = [];
    for (const [index, done] of steps.entries()) {
      const at = "at" in done && model.length > 0 ? done.at % model.length : 0;
      if (done.kind === "add") {
        const eater = new Eater(`${index}`, done.priority);
        rota.add(eater);
        model.push(eater);
        model.sort((a, b) => b.priority - a.priority);
      } else if (done.kind === "remove") {
        const [gone] = model.splice(at, 1);
        if (gone !== undefined) assert.ok(rota.remove(gone));
      } else if (done.kind === "room" && model.length > 0) {
        model[at]!.room = done.room;
      }
      assert.deepEqual(rota.all, model);
      const ready = model.filter((eater) => eater.ready());
      const best = ready.filter(({ priority }) => priority === ready[0]!.priority);
      const picked = Array.from({ length: 2 * best.length }, () => rota.pick());
      for (const eater of best) {
        assert.equal(picked.filter((one) => one === eater).length, 2, "each twice in two rounds");
      }
      if (best.length === 0) assert.equal(rota.pick(), null);
    }
  }));
});
