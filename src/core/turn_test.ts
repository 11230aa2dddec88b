import assert from "node:assert/strict";
import { test } from "node:test";
import { Turn } from "./turn.ts";

function setUp() {
  const done: string[] = [];
  const commit = { endTurn: () => void done.push("end") };
  const turn = new Turn(commit, (fault) => {
    throw fault;
  });
  const servable = (name: string, rounds = 1) => ({
    serve: () => {
      done.push(`serve ${name}`);
      return --rounds > 0;
    },
  });
  const sendable = (name: string) => ({ send: () => void done.push(`send ${name}`) });
  return { done, turn, servable, sendable };
}

test("a turn ends once: queues serve, then stores are written, then connections send", async () => {
  const { done, turn, servable, sendable } = setUp();
  turn.sendLater(sendable("c"));
  turn.serveLater(servable("q"));
  turn.serveLater(servable("r"));
  turn.schedule();
  assert.deepEqual(done, []);
  await Promise.resolve();
  assert.deepEqual(done, ["serve q", "serve r", "end", "send c"]);
});

test("what a queue's deliveries set off in another queue belongs to the same turn", async () => {
  const { done, turn, servable } = setUp();
  turn.serveLater({
    serve: () => {
      turn.serveLater(servable("second"));
      done.push("serve first");
      return false;
    },
  });
  await Promise.resolve();
  assert.deepEqual(done, ["serve first", "serve second", "end"]);
});

test("a queue that stopped at its budget goes on in the next turn, and without one after the sockets had theirs", async () => {
  const { done, turn, servable } = setUp();
  turn.serveLater(servable("q", 3));
  await Promise.resolve();
  assert.deepEqual(done.splice(0), ["serve q", "end"]);
  turn.schedule();
  await Promise.resolve();
  assert.deepEqual(done.splice(0), ["serve q", "end"], "others keep turns coming");
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(done.splice(0), ["serve q", "end"], "by itself");
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(done, []);
});

test("what is served because something has become durable at the end of a turn is served in the next one", async () => {
  const done: string[] = [];
  const servable = { serve: () => done.push("serve") < 0 };
  let waits = true;
  const turn: Turn = new Turn({
    endTurn() {
      if (waits) turn.serveLater(servable);
      waits = false;
    },
  }, (fault) => {
    throw fault;
  });
  turn.schedule();
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual(done, ["serve"]);
});

test("who sends to many waits for the turns that follow at once, and sends once", async () => {
  const { done, turn, sendable } = setUp();
  for (const name of ["c", "d", "e"]) turn.sendLater(sendable(name));
  await Promise.resolve();
  assert.deepEqual(done, ["end"]);
  turn.sendLater(sendable("f"));
  await Promise.resolve();
  assert.deepEqual(done, ["end", "end"]);
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(done, ["end", "end", "send c", "send d", "send e", "send f"]);
});
