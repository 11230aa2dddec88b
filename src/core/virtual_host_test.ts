import type { QueueFiles } from "./any_queue.ts";
import { test } from "node:test";
import assert from "node:assert/strict";
import { MemoryFiles } from "../runtime/memory_file.ts";
import { GroupCommit } from "../store/group_commit.ts";
import { Message, MESSAGE_EXPIRES } from "../store/message.ts";
import { QueueStore } from "../store/queue_store.ts";
import { ReadWindow } from "../store/read_window.ts";
import { type ArgumentValue, NO_ARGUMENTS } from "./arguments.ts";
import type { Entry } from "./definitions.ts";
import { DefinitionsReplay } from "./definitions_replay.ts";
import type { Consumer, Queue } from "./queue.ts";
import { Refusal, type RefusalReason } from "./refusal.ts";
import { Timers } from "./timers.ts";
import { Turn } from "./turn.ts";
import { VirtualHost } from "./virtual_host.ts";

const OWNER = { name: "connection" };
const DURABLE = { durable: true, autoDelete: false, exclusive: false, args: NO_ARGUMENTS };
const TRANSIENT = { ...DURABLE, durable: false };
const EXCHANGE = { durable: true, autoDelete: false, internal: false, args: NO_ARGUMENTS };

function setUp() {
  const log: Entry[] = [];
  const destroyed: QueueFiles[] = [];
  const commit = new GroupCommit({ syncer: null, onFault: (fault) => assert.fail(fault) });
  const turn = new Turn(commit, (fault) => {
    throw fault;
  });
  const files = new MemoryFiles();
  const recoveryWindow = new ReadWindow(files, 4096);
  let id = 0;
  const vhost = new VirtualHost("/", {
    turn,
    definitions: { append: (entry) => void log.push(entry) },
    openStore: (queueId) =>
      QueueStore.open({ queueId, directory: `q${queueId}` }, {
        files,
        commit,
        pool: null,
        recoveryWindow,
        now: () => 0,
        report: () => {},
      }),
    openStream: () => assert.fail("no streams here"),
    destroyStore: (store) => void destroyed.push(store),
    nextQueueId: () => ++id,
    timers: new Timers(turn, (fault) => assert.fail(String(fault))),
    commit,
    limits: { queuesMax: 20, exchangesMax: 20, bindingsMax: 30, warmQueuesMax: 10 },
  });
  const queue = (name: string, declaration = DURABLE): Queue =>
    vhost.declareQueue(name, declaration, OWNER).queue as Queue;
  return { vhost, log, destroyed, queue };
}

function refuses(reason: RefusalReason, text: RegExp, act: () => unknown): void {
  assert.throws(act, (error) => error instanceof Refusal && error.reason === reason && text.test(error.message));
}

function names(queues: readonly { name: string }[]): string[] {
  return queues.map(({ name }) => name).sort();
}

function message(text: string): Message {
  const message = new Message();
  message.route = new Uint8Array(2);
  message.routeBytes = 2;
  message.header = new Uint8Array(10);
  message.headerBytes = 10;
  message.body = new TextEncoder().encode(text);
  message.bodyBytes = message.body.length;
  return message;
}

/** Taken in `ageMs` ago, to live for `expiration` ms. */
function expiring(text: string, expiration: string, ageMs: number): Message {
  const whole = message(text);
  whole.header = new Uint8Array([
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    1,
    0,
    expiration.length,
    ...new TextEncoder().encode(expiration),
  ]);
  whole.headerBytes = whole.header.length;
  whole.flags = MESSAGE_EXPIRES;
  whole.timestampMs = Date.now() - ageMs;
  return whole;
}

function textOf(message: Message | null): string | null {
  return message && new TextDecoder().decode(message.body.subarray(message.bodyAt, message.bodyAt + message.bodyBytes));
}

/** A consumer that takes `room` messages and settles none. */
class Taker implements Consumer {
  readonly noAck = false;
  readonly priority = 0;
  readonly exclusive: boolean;
  readonly taken: string[] = [];
  readonly positions: [position: number, bodyBytes: number][] = [];
  isCancelled = false;
  room: number;

  constructor(room = Infinity, exclusive = false) {
    this.room = room;
    this.exclusive = exclusive;
  }

  ready(): boolean {
    return this.room > 0;
  }

  deliver({ body, bodyAt, bodyBytes, position, redelivered }: Message): void {
    this.room--;
    this.taken.push(new TextDecoder().decode(body.slice(bodyAt, bodyAt + bodyBytes)) + (redelivered ? "!" : ""));
    this.positions.push([position, bodyBytes]);
  }

  cancelled(): void {
    this.isCancelled = true;
  }
}

test("the default exchange leads to the queue of that name", () => {
  const { vhost, queue } = setUp();
  queue("a");
  assert.deepEqual(names(vhost.route("", ["a"], message("")).queues), ["a"]);
  assert.deepEqual(names(vhost.route("", ["b"], message("")).queues), []);
});

test("direct, fanout and topic exchanges lead where their bindings say, each queue once (behaviours 30)", () => {
  const { vhost, queue } = setUp();
  const [a, b] = [queue("a"), queue("b")];
  vhost.bind("amq.direct", a, "key", NO_ARGUMENTS);
  vhost.bind("amq.direct", a, "other", NO_ARGUMENTS);
  vhost.bind("amq.fanout", a, "x", NO_ARGUMENTS);
  vhost.bind("amq.fanout", a, "y", NO_ARGUMENTS);
  vhost.bind("amq.fanout", b, "", NO_ARGUMENTS);
  vhost.bind("amq.topic", a, "#", NO_ARGUMENTS);
  vhost.bind("amq.topic", a, "s.*", NO_ARGUMENTS);
  vhost.bind("amq.topic", b, "s.t", NO_ARGUMENTS);
  assert.deepEqual(names(vhost.route("amq.direct", ["key"], message("")).queues), ["a"]);
  assert.deepEqual(names(vhost.route("amq.direct", ["none"], message("")).queues), []);
  assert.deepEqual(names(vhost.route("amq.fanout", ["whatever"], message("")).queues), ["a", "b"]);
  assert.deepEqual(names(vhost.route("amq.topic", ["s.t"], message("")).queues), ["a", "b"]);
  assert.deepEqual(names(vhost.route("amq.topic", ["s.u"], message("")).queues), ["a"]);
  vhost.unbind("amq.topic", b, "s.t", NO_ARGUMENTS);
  assert.deepEqual(names(vhost.route("amq.topic", ["s.t"], message("")).queues), ["a"]);
});

test("exchanges bound in a circle end (behaviours 29)", () => {
  const { vhost, queue } = setUp();
  const a = queue("a");
  vhost.declareExchange("one", { ...EXCHANGE, type: "fanout" });
  vhost.declareExchange("two", { ...EXCHANGE, type: "fanout" });
  vhost.bind("one", vhost.exchange("two"), "", NO_ARGUMENTS);
  vhost.bind("two", vhost.exchange("one"), "", NO_ARGUMENTS);
  vhost.bind("two", a, "", NO_ARGUMENTS);
  assert.deepEqual(names(vhost.route("one", ["k"], message("")).queues), ["a"]);
});

test("every change that may lead elsewhere changes the revision", () => {
  const { vhost, queue } = setUp();
  let last = vhost.revision;
  const changes: (() => unknown)[] = [
    () => queue("a"),
    () => vhost.declareExchange("e", { ...EXCHANGE, type: "direct" }),
    () => vhost.bind("e", vhost.queue("a"), "k", NO_ARGUMENTS),
    () => vhost.unbind("e", vhost.queue("a"), "k", NO_ARGUMENTS),
    () => vhost.deleteExchange("e", false),
    () => vhost.deleteQueue(vhost.queue("a"), { ifUnused: false, ifEmpty: false }),
  ];
  for (const change of changes) {
    change();
    assert.notEqual(vhost.revision, last);
    last = vhost.revision;
  }
});

test("what is refused, is refused with its reason", () => {
  const { vhost, queue } = setUp();
  const a = queue("a");
  vhost.declareExchange("e", { ...EXCHANGE, type: "direct" });
  vhost.declareExchange("i", { ...EXCHANGE, type: "direct", internal: true });
  vhost.bind("e", a, "k", NO_ARGUMENTS);
  const other = { name: "other" };
  vhost.declareQueue("mine", { ...TRANSIENT, exclusive: true }, OWNER);
  refuses("not-found", /no queue 'x' in vhost '\/'/, () => vhost.queue("x"));
  refuses("not-found", /no exchange 'x' in vhost '\/'/, () => vhost.route("x", ["k"], message("")).queues);
  refuses("access-refused", /internal/, () => vhost.route("i", ["k"], message("")).queues);
  refuses("access-refused", /default exchange/, () => vhost.bind("", a, "k", NO_ARGUMENTS));
  refuses("access-refused", /default exchange/, () => vhost.unbind("", a, "k", NO_ARGUMENTS));
  refuses(
    "access-refused",
    /reserved prefix/,
    () => vhost.declareExchange("amq.mine", { ...EXCHANGE, type: "direct" }),
  );
  refuses("access-refused", /reserved prefix/, () => vhost.deleteExchange("amq.direct", false));
  refuses(
    "precondition-failed",
    /unknown exchange type 'strange'/,
    () => vhost.declareExchange("s", { ...EXCHANGE, type: "strange" }),
  );
  refuses("precondition-failed", /in use/, () => vhost.deleteExchange("e", true));
  refuses("resource-locked", /exclusive access to locked queue 'mine'/, () => vhost.usableQueue("mine", other));
  refuses("resource-locked", /locked/, () => vhost.declareQueue("mine", { ...TRANSIENT, exclusive: true }, other));
  refuses(
    "precondition-failed",
    /inequivalent arg 'durable' for queue 'a' in vhost '\/': received 'false' but current is 'true'/,
    () => vhost.declareQueue("a", TRANSIENT, OWNER),
  );
  refuses(
    "precondition-failed",
    /inequivalent arg 'x-any'.*received the value '5' of type 'signedint' but current is none/,
    () => vhost.declareQueue("a", { ...DURABLE, args: new Map<string, ArgumentValue>([["x-any", 5]]) }, OWNER),
  );
  refuses(
    "precondition-failed",
    /inequivalent arg 'type' for exchange 'e'/,
    () => vhost.declareExchange("e", { ...EXCHANGE, type: "fanout" }),
  );
  a.publish(message("m"));
  refuses("precondition-failed", /not empty/, () => vhost.deleteQueue(a, { ifUnused: false, ifEmpty: true }));
  a.addConsumer(new Taker(0), "");
  refuses("precondition-failed", /in use/, () => vhost.deleteQueue(a, { ifUnused: true, ifEmpty: false }));
});

test("an exclusive consumer is alone (behaviours 25)", () => {
  const { queue } = setUp();
  const a = queue("a");
  const first = new Taker();
  a.addConsumer(first, "queue 'a'");
  refuses("access-refused", /in exclusive use/, () => a.addConsumer(new Taker(1, true), "queue 'a'"));
  a.removeConsumer(first);
  a.addConsumer(new Taker(1, true), "queue 'a'");
  refuses("access-refused", /in exclusive use/, () => a.addConsumer(new Taker(), "queue 'a'"));
});

test("consumers take turns, and who has no room is passed over (behaviours 42)", async () => {
  const { queue } = setUp();
  const a = queue("a");
  const [one, two, three] = [new Taker(), new Taker(1), new Taker()];
  for (const consumer of [one, two, three]) a.addConsumer(consumer, "");
  for (let i = 1; i <= 7; i++) a.publish(message(`${i}`));
  await Promise.resolve();
  assert.deepEqual([one.taken, two.taken, three.taken], [["1", "4", "6"], ["2"], ["3", "5", "7"]]);
});

test("a message past its expiration is neither counted, got nor delivered once it is at the head", async () => {
  const { queue } = setUp();
  const a = queue("a");
  for (const [name, expiration, ageMs] of [["1", "500", 1000], ["2", "60000", 1000], ["3", "0", 1000]] as const) {
    a.publish(expiring(name, expiration, ageMs));
  }
  a.publish(message("4"));
  assert.equal(a.messageCount, 3, "behind one that lives it waits for its turn");
  assert.equal(textOf(a.get()), "2");
  assert.equal(textOf(a.get()), "4");
  assert.equal(a.get(), null);
  assert.equal(a.store.unackedCount, 2, "what has expired is settled");
  const b = queue("b");
  const consumer = new Taker();
  b.addConsumer(consumer, "");
  for (const [name, ageMs] of [["old", 1000], ["new", -1000]] as const) b.publish(expiring(name, "0", ageMs));
  await Promise.resolve();
  assert.deepEqual(consumer.taken, ["new"]);
  assert.equal(b.store.unackedCount, 1);
});

test("there may be so many queues, exchanges and bindings, and no more", () => {
  const { vhost, queue } = setUp();
  const builtIn = vhost.exchanges.size;
  for (let i = 0; i < 20; i++) queue(`q${i}`);
  for (let i = builtIn; i < 20; i++) vhost.declareExchange(`e${i}`, { ...EXCHANGE, type: "fanout" });
  for (let i = 0; i < 30; i++) vhost.bind("amq.direct", vhost.queue("q1"), `${i}`, NO_ARGUMENTS);
  refuses(
    "precondition-failed",
    /cannot declare queue 'more': queue limit in vhost '\/' \(20\) is/,
    () => queue("more"),
  );
  refuses("precondition-failed", /cannot declare exchange 'more': exchange limit .* \(20\) is reached/, () => {
    vhost.declareExchange("more", { ...EXCHANGE, type: "fanout" });
  });
  const bind = () => vhost.bind("amq.direct", vhost.queue("q2"), "k", NO_ARGUMENTS);
  refuses("precondition-failed", /cannot bind 'q2': binding limit .* \(30\) is reached/, bind);
  queue("q3");
  vhost.bind("amq.direct", vhost.queue("q1"), "7", NO_ARGUMENTS);
  vhost.removeQueue(vhost.queue("q1"));
  bind();
  queue("more");
});

test("the answer to who declares again what is there waits for the disk, too", () => {
  const { vhost, queue } = setUp();
  const a = queue("a");
  vhost.declareExchange("e", { ...EXCHANGE, type: "fanout" });
  vhost.bind("e", a, "", NO_ARGUMENTS);
  assert.ok(vhost.declareQueue("a", DURABLE, OWNER).durable);
  assert.ok(vhost.declareExchange("e", { ...EXCHANGE, type: "fanout" }));
  assert.ok(vhost.bind("e", a, "", NO_ARGUMENTS));
  queue("t", TRANSIENT);
  assert.ok(!vhost.declareQueue("t", TRANSIENT, OWNER).durable);
});

test("what is requeued comes again first, in its order, flagged", async () => {
  const { queue } = setUp();
  const a = queue("a");
  const consumer = new Taker(3);
  a.addConsumer(consumer, "");
  for (let i = 1; i <= 5; i++) a.publish(message(`${i}`));
  await Promise.resolve();
  for (const [position, bodyBytes] of consumer.positions.splice(0).reverse()) a.requeue(position, bodyBytes);
  consumer.room = 4;
  a.wake();
  await Promise.resolve();
  assert.deepEqual(consumer.taken, ["1", "2", "3", "1!", "2!", "3!", "4"]);
});

test("a backlog larger than a turn's budget is delivered whole, in several turns", async () => {
  const { queue } = setUp();
  const a = queue("a");
  for (let i = 0; i < 40_000; i++) a.publish(message(`${i}`));
  const consumer = new Taker();
  a.addConsumer(consumer, "");
  await Promise.resolve();
  assert.ok(consumer.taken.length < 40_000, "other work has its turn");
  while (consumer.taken.length < 40_000) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(consumer.taken, Array.from({ length: 40_000 }, (_, index) => `${index}`));
});

test("deleting a queue cancels its consumers, unbinds it, and takes auto-delete exchanges with it (behaviours 23)", () => {
  const { vhost, queue, destroyed } = setUp();
  const a = queue("a");
  vhost.declareExchange("e", { ...EXCHANGE, type: "direct", autoDelete: true });
  vhost.bind("e", a, "k", NO_ARGUMENTS);
  const consumer = new Taker();
  a.addConsumer(consumer, "");
  vhost.removeQueue(a);
  assert.ok(consumer.isCancelled);
  assert.ok(!vhost.exchanges.has("e"));
  assert.deepEqual(destroyed, [a.store]);
  a.publish(message("late"));
  assert.equal(a.store.readyCount, 0);
});

test("an auto-delete queue goes after its last consumer left, not before it had one (behaviours 23)", () => {
  const { vhost, queue } = setUp();
  const a = queue("a", { ...TRANSIENT, autoDelete: true });
  const [one, two] = [new Taker(), new Taker()];
  a.addConsumer(one, "");
  a.addConsumer(two, "");
  vhost.removeConsumer(a, one);
  assert.ok(vhost.queues.has("a"));
  vhost.removeConsumer(a, two);
  assert.ok(!vhost.queues.has("a"));
});

test("a log played back gives what was durable, and nothing that was deleted or transient", () => {
  const { vhost, log, queue } = setUp();
  const args = new Map<string, ArgumentValue>([["x-note", "ü"], ["n", 3]]);
  vhost.declareExchange("e", { ...EXCHANGE, type: "topic", args });
  vhost.declareExchange("gone", { ...EXCHANGE, type: "fanout" });
  vhost.declareExchange("transient", { ...EXCHANGE, type: "fanout", durable: false });
  const [a, b] = [queue("a"), queue("b")];
  queue("transient", TRANSIENT);
  vhost.declareQueue("mine", { ...DURABLE, exclusive: true }, OWNER);
  vhost.bind("e", a, "k.#", args);
  vhost.bind("e", b, "k.#", NO_ARGUMENTS);
  vhost.bind("e", vhost.queue("transient"), "k.#", NO_ARGUMENTS);
  vhost.bind("transient", a, "", NO_ARGUMENTS);
  vhost.bind("gone", a, "", NO_ARGUMENTS);
  vhost.bind("gone", vhost.exchange("e"), "", NO_ARGUMENTS);
  vhost.deleteExchange("gone", false);
  vhost.removeQueue(b);
  queue("b");
  vhost.unbind("e", a, "nothing", NO_ARGUMENTS);

  for (const entries of [log, [...vhost.entries()]]) {
    const replay = new DefinitionsReplay();
    for (const entry of entries) replay.replay(JSON.parse(JSON.stringify(entry)));
    const fresh = setUp();
    const { live, named } = replay.ids;
    const loose = replay.restore(fresh.vhost);
    assert.deepEqual(names([...fresh.vhost.queues.values()]), ["a", "b"]);
    assert.deepEqual(live, new Set([a.id, vhost.queue("b").id]));
    assert.deepEqual(named.has(b.id), entries === log, "what was deleted is known as long as the log names it");
    assert.equal(loose > 0, entries === log);
    assert.deepEqual([...fresh.vhost.exchanges.keys()].filter((name) => !name.startsWith("amq.")), ["", "e"]);
    assert.deepEqual(fresh.vhost.exchange("e").args, args);
    assert.deepEqual(
      names(fresh.vhost.route("e", ["k.x"], message("")).queues),
      ["a"],
      "b was bound only in its earlier life",
    );
    assert.equal(fresh.vhost.exchange("e").bindingCount, 1);
  }
});

test("a queue that is held back is so after a restart, until somebody lets it go on, and keeps its bindings", () => {
  const { vhost, log, queue } = setUp();
  const names = ["held", "freed", "again", "anew"];
  const [held, freed, again, anew] = names.map((name) => queue(name)) as [Queue, Queue, Queue, Queue];
  for (const one of [held, freed, again, anew]) vhost.bind("amq.fanout", one, "", NO_ARGUMENTS);
  const transient = queue("transient", TRANSIENT);
  assert.equal(vhost.setPaused(transient, true), false);
  for (const one of [held, freed, again, anew]) assert.equal(vhost.setPaused(one, true), true);
  const entries = log.length;
  vhost.setPaused(held, true);
  assert.equal(log.length, entries, "what is so already is not written again");
  vhost.setPaused(freed, false);
  vhost.setPaused(again, false);
  vhost.setPaused(again, true);
  vhost.removeQueue(anew);
  queue("anew");
  for (const entries of [log, [...vhost.entries()]]) {
    const replay = new DefinitionsReplay();
    for (const entry of entries) replay.replay(JSON.parse(JSON.stringify(entry)));
    const fresh = setUp();
    replay.restore(fresh.vhost);
    const paused = names.filter((name) => (fresh.vhost.queue(name) as Queue).paused);
    assert.deepEqual(paused, ["held", "again"]);
    assert.equal(fresh.vhost.exchange("amq.fanout").bindingCount, 3);
  }
});

test("bindings come back in the order of their making, which some exchanges go by", () => {
  const { vhost, log, queue } = setUp();
  const declare = () => vhost.declareExchange("e", { ...EXCHANGE, type: "x-consistent-hash" });
  const order = ({ vhost }: { vhost: VirtualHost }) =>
    [...vhost.exchange("e").bindings()].map(({ destination, routingKey }) => destination.name + routingKey);
  declare();
  for (const name of ["a", "b", "c"]) vhost.bind("e", queue(name), "1", NO_ARGUMENTS);
  vhost.deleteExchange("e", false);
  declare();
  for (const [name, key] of [["c", "1"], ["a", "2"], ["b", "1"], ["a", "1"]] as const) {
    vhost.bind("e", queue(name), key, NO_ARGUMENTS);
  }
  vhost.unbind("e", queue("c"), "1", NO_ARGUMENTS);
  vhost.bind("e", queue("c"), "1", NO_ARGUMENTS);
  for (const entries of [log, [...vhost.entries()]]) {
    const replay = new DefinitionsReplay();
    for (const entry of entries) replay.replay(JSON.parse(JSON.stringify(entry)));
    const fresh = setUp();
    replay.restore(fresh.vhost);
    assert.deepEqual(order(fresh), ["a2", "b1", "a1", "c1"]);
  }
});
