// Exchanges beyond direct, fanout and topic: headers, consistent hash, alternates, deduplication, and what a restart keeps.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { DiskBroker } from "../support/disk_broker.ts";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import type { Table } from "../support/raw_bytes.ts";
import { type Plain, withProperties } from "../support/raw_headers.ts";
import { basic, confirm, exchange, queue, tx } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

type Headers = { readonly [key: string]: Plain };

async function refusal(...bytes: Buffer[]): Promise<string> {
  const client = await broker.open();
  client.send(...bytes);
  const { level, code, text } = await client.refused();
  return `${level} ${code} ${text}`;
}

async function declare(client: RawAmqp, name: string, type: string, args: Table = {}, durable = false): Promise<void> {
  await client.call("exchange.declare-ok", exchange.declare(1, name, type, { args, durable }));
}

/** Declares an exclusive queue of the broker's naming and binds it. */
async function bound(client: RawAmqp, source: string, key = "", args: Table = {}): Promise<string> {
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  await client.call("queue.bind-ok", queue.bind(1, name, source, key, args));
  return name;
}

function publish(client: RawAmqp, source: string, key: string, body: string, headers?: Headers): void {
  client.send(basic.publish(1, key, body, { exchange: source, ...(headers && withProperties({ headers })) }));
}

/** Takes everything out of a queue. */
async function bodiesIn(client: RawAmqp, name: string): Promise<string[]> {
  const args = await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
  args.shortString();
  const bodies: string[] = [];
  for (let count = args.long(); count > 0; count--) {
    client.send(basic.get(1, name, true));
    bodies.push((await client.message()).body.toString());
  }
  return bodies;
}

for (const name of ["declared", "amq.headers", "amq.match"]) {
  test(`a headers exchange goes by headers, whatever the key: ${name} (behaviours 33)`, async () => {
    const client = await broker.open();
    if (name === "declared") await declare(client, name, "headers");
    const pattern = { format: "pdf", pages: 3, "x-secret": true };
    const all = await bound(client, name, "", pattern);
    const any = await bound(client, name, "k", { "x-match": "any", ...pattern });
    const allWithX = await bound(client, name, "", { "x-match": "all-with-x", ...pattern });
    const anyWithX = await bound(client, name, "", { "x-match": "any-with-x", ...pattern });
    publish(client, name, "k", "all", { format: "pdf", pages: 3 });
    publish(client, name, "k", "one", { format: "pdf", pages: 4 });
    publish(client, name, "k", "none", { format: "PDF" });
    publish(client, name, "k", "no headers");
    publish(client, name, "k", "secret", { "x-secret": true });
    publish(client, name, "k", "all and secret", { format: "pdf", pages: 3, "x-secret": true });
    assert.deepEqual(await bodiesIn(client, all), ["all", "all and secret"]);
    assert.deepEqual(await bodiesIn(client, any), ["all", "one", "all and secret"]);
    assert.deepEqual(await bodiesIn(client, allWithX), ["all and secret"]);
    assert.deepEqual(await bodiesIn(client, anyWithX), ["all", "one", "secret", "all and secret"]);
    await client.call("queue.unbind-ok", queue.unbind(1, all, name, "", pattern));
    publish(client, name, "k", "after", { format: "pdf", pages: 3 });
    assert.deepEqual(await bodiesIn(client, all), []);
    await client.close();
  });
}

test("an x-match that means nothing is refused when binding (behaviours 33)", async () => {
  const expected = 'channel 406 PRECONDITION_FAILED - Invalid x-match field value <<"most">>; ' +
    "expected all, any, all-with-x, or any-with-x";
  const args = { "x-match": "most" };
  const mine = queue.declare(1, "unmatched", { exclusive: true, noWait: true });
  assert.equal(await refusal(mine, queue.bind(1, "unmatched", "amq.headers", "", args)), expected);
  assert.equal(await refusal(exchange.bind(1, "amq.fanout", "amq.headers", "", args)), expected);
  assert.equal(
    await refusal(exchange.bind(1, "amq.fanout", "amq.headers", "", { "x-match": 1 })),
    "channel 406 PRECONDITION_FAILED - Invalid x-match field type signedint (value 1); expected longstr",
  );
});

test("the alternate exchange gets what matched nothing else, and counts for mandatory (behaviours 11, 31)", async () => {
  const client = await broker.open();
  await client.call("confirm.select-ok", confirm.select(1));
  await declare(client, "alternate.last", "topic");
  await declare(client, "alternate.next", "direct", { "alternate-exchange": "alternate.last" });
  await declare(client, "alternate.first", "direct", { "alternate-exchange": "alternate.next" });
  const main = await bound(client, "alternate.first", "known");
  const rest = await bound(client, "alternate.last", "order.#");
  const mandatory = { exchange: "alternate.first", mandatory: true };
  client.send(basic.publish(1, "known", "main", mandatory));
  await client.reply("basic.ack");
  client.send(basic.publish(1, "order.1", "rest", mandatory));
  await client.reply("basic.ack");
  client.send(basic.publish(1, "lost", "nowhere", mandatory));
  const returned = await client.message();
  assert.deepEqual([returned.by, returned.replyCode, returned.exchange], ["return", 312, "alternate.first"]);
  await client.reply("basic.ack");
  assert.deepEqual([await bodiesIn(client, main), await bodiesIn(client, rest)], [["main"], ["rest"]]);
  await client.call("queue.bind-ok", queue.bind(1, main, "alternate.first", "order.1"));
  client.send(basic.publish(1, "order.1", "now main", mandatory));
  await client.reply("basic.ack");
  assert.deepEqual([await bodiesIn(client, main), await bodiesIn(client, rest)], [["now main"], []]);
  await client.close();
});

test("an alternate exchange may be missing, internal, or one that leads back (behaviours 31)", async () => {
  const client = await broker.open();
  const internal = exchange.declare(1, "alternate.internal", "fanout", { internal: true });
  await client.call("exchange.declare-ok", internal);
  await declare(client, "alternate.to.internal", "direct", { "alternate-exchange": "alternate.internal" });
  await declare(client, "alternate.circle.a", "direct", { "alternate-exchange": "alternate.circle.b" });
  await declare(client, "alternate.circle.b", "direct", { "alternate-exchange": "alternate.circle.a" });
  await declare(client, "alternate.missing", "direct", { "alternate-exchange": "alternate.later" });
  const rest = await bound(client, "alternate.internal");
  publish(client, "alternate.to.internal", "k", "inside");
  publish(client, "alternate.circle.a", "k", "round and round");
  publish(client, "alternate.missing", "k", "too early");
  await declare(client, "alternate.later", "fanout");
  await client.call("queue.bind-ok", queue.bind(1, rest, "alternate.later", ""));
  publish(client, "alternate.missing", "k", "in time");
  assert.deepEqual(await bodiesIn(client, rest), ["inside", "in time"]);
  assert.equal(
    await refusal(basic.publish(1, "k", "outside", { exchange: "alternate.internal" })),
    "channel 403 ACCESS_REFUSED - cannot publish to internal exchange 'alternate.internal' in vhost '/'",
  );
});

test("arguments of an exchange are checked, and are part of what a redeclaration must repeat (behaviours 34)", async () => {
  const client = await broker.open();
  await declare(client, "args", "direct", { "alternate-exchange": "a", "x-own": 5 });
  await declare(client, "args", "direct", { "x-own": 5, "alternate-exchange": "a" });
  const again = (args: Table) => refusal(exchange.declare(1, "args", "direct", { args }));
  const inequivalent = "channel 406 PRECONDITION_FAILED - inequivalent arg";
  assert.equal(
    await again({ "x-own": 5 }),
    `${inequivalent} 'alternate-exchange' for exchange 'args' in vhost '/': ` +
      "received none but current is the value 'a' of type 'longstr'",
  );
  assert.equal(
    await again({ "alternate-exchange": "a", "x-own": 6 }),
    `${inequivalent} 'x-own' for exchange 'args' in vhost '/': ` +
      "received the value '6' of type 'signedint' but current is the value '5' of type 'signedint'",
  );
  const declaring = (type: string, args: Table) => refusal(exchange.declare(1, "bad args", type, { args }));
  assert.equal(
    await declaring("fanout", { "alternate-exchange": 7 }),
    "channel 406 PRECONDITION_FAILED - invalid type 'signedint' for arg 'alternate-exchange' " +
      "in exchange 'bad args' in vhost '/'",
  );
  assert.equal(
    await declaring("x-consistent-hash", { "hash-header": "a", "hash-property": "message_id" }),
    "channel 406 PRECONDITION_FAILED - hash-header and hash-property are mutually exclusive",
  );
  assert.equal(
    await declaring("x-consistent-hash", { "hash-property": "reply_to" }),
    "channel 406 PRECONDITION_FAILED - Unsupported property: reply_to",
  );
  assert.match(await declaring("direct", { "x-message-deduplication": "yes" }), /^channel 406 .*deduplication/);
  assert.match(await refusal(exchange.declare(1, "bad args", "", { passive: true })), /^channel 404/);
});

const KEYS = Array.from({ length: 200 }, (_, index) => `customer.${index}`);

/** Publishes one message for each of KEYS; returns which bodies each queue has then. */
async function placed(client: RawAmqp, queues: readonly string[], send: (key: string) => void): Promise<string[][]> {
  for (const key of KEYS) send(key);
  const places: string[][] = [];
  for (const name of queues) places.push(await bodiesIn(client, name));
  return places;
}

test("a consistent hash exchange sends each key to one queue, always the same", async () => {
  const client = await broker.open();
  for (const algorithm of ["ring", "jump"]) {
    const name = `hash.${algorithm}`;
    await declare(client, name, "x-consistent-hash", { "x-algorithm": algorithm });
    const queues = [await bound(client, name, "1"), await bound(client, name, "1"), await bound(client, name, "2")];
    const send = (key: string) => publish(client, name, key, key);
    const first = await placed(client, queues, send);
    assert.deepEqual(first.flat().sort(), [...KEYS].sort());
    assert.ok(first.every(({ length }) => length > 10), `${first.map(({ length }) => length)}`);
    assert.deepEqual(await placed(client, queues, send), first);
  }
});

test("what a consistent hash exchange goes by can be a header or a property", async () => {
  const client = await broker.open();
  const { messageIdOf } = properties;
  const ways: [Table, (name: string) => (key: string) => void][] = [
    [{ "hash-header": "id" }, (name) => (key) => publish(client, name, "same", key, { id: key })],
    [{ "hash-property": "message_id" }, (name) => (key) => {
      client.send(basic.publish(1, "same", key, { exchange: name, ...messageIdOf(key) }));
    }],
  ];
  for (const [index, [args, sender]] of ways.entries()) {
    const name = `hash.by.${index}`;
    await declare(client, name, "x-consistent-hash", args);
    const queues = [await bound(client, name, "1"), await bound(client, name, "1")];
    const first = await placed(client, queues, sender(name));
    assert.ok(first.every(({ length }) => length > 10), JSON.stringify(args));
    const bare = await placed(client, queues, (key) => publish(client, name, key, key));
    assert.deepEqual(bare.map(({ length }) => length).sort(), [0, KEYS.length], "what is missing hashes like nothing");
  }
});

const properties = {
  messageIdOf: (id: string) => {
    const bytes = Buffer.from(id);
    return { flags: 1 << 7, properties: Buffer.concat([Buffer.from([bytes.length]), bytes]) };
  },
};

test("the weight of a consistent hash binding is a whole number above 0", async () => {
  const client = await broker.open();
  await declare(client, "hash.weights", "x-consistent-hash");
  const bind = (key: string) => refusal(exchange.bind(1, "amq.fanout", "hash.weights", key));
  const failed = "channel 406 PRECONDITION_FAILED - The binding key must be";
  assert.equal(await bind("heavy"), `${failed} an integer: <<"heavy">>`);
  assert.equal(await bind("0"), `${failed} greater than 0`);
  assert.equal(await bind("1001"), `${failed} at most 1000`);
});

test("an exchange with deduplication takes each value of a header once", async () => {
  const client = await broker.open();
  await client.call("confirm.select-ok", confirm.select(1));
  await declare(client, "once", "fanout", { "x-message-deduplication": true, "x-cache-size": 2 });
  const name = await bound(client, "once");
  const ids = ["a", "b", "a", "c", "a", "b"];
  for (const [index, id] of ids.entries()) {
    publish(client, "once", "", `${id}${index}`, { "x-deduplication-header": id });
  }
  publish(client, "once", "", "anonymous");
  publish(client, "once", "", "anonymous");
  for (let acked = 0; acked < ids.length + 2;) acked = (await client.reply("basic.ack")).args.longlong();
  // The cache of two forgets a when c comes, and b when a comes again.
  assert.deepEqual(await bodiesIn(client, name), ["a0", "b1", "c3", "a4", "b5", "anonymous", "anonymous"]);
  const headers = { "x-deduplication-header": "b" };
  client.send(basic.publish(1, "", "b6", { exchange: "once", mandatory: true, ...withProperties({ headers }) }));
  assert.equal((await client.message()).replyCode, 312);
});

test("deduplication may go by another header, and lets a message that had no queue come again", async () => {
  const client = await broker.open();
  await declare(client, "once.id", "direct", { "x-message-deduplication": true, "x-deduplication-header": "id" });
  publish(client, "once.id", "k", "lost", { id: 1 });
  const name = await bound(client, "once.id", "k");
  for (const body of ["kept", "dropped"]) {
    publish(client, "once.id", "k", body, { id: 1, "x-deduplication-header": body });
  }
  assert.deepEqual(await bodiesIn(client, name), ["kept"]);
});

test("a transaction is no duplicate of itself, nor of one that was rolled back", async () => {
  const client = await broker.open();
  await client.call("tx.select-ok", tx.select(1));
  await declare(client, "once.tx", "fanout", { "x-message-deduplication": true });
  const name = await bound(client, "once.tx");
  const headers = { "x-deduplication-header": "1" };
  publish(client, "once.tx", "", "undone", headers);
  await client.call("tx.rollback-ok", tx.rollback(1));
  publish(client, "once.tx", "", "done", headers);
  publish(client, "once.tx", "", "twice", headers);
  await client.call("tx.commit-ok", tx.commit(1));
  assert.deepEqual(await bodiesIn(client, name), ["done"]);
});

test("a message that a queue refused is no duplicate when it is tried again (behaviours 15)", async () => {
  const client = await broker.open();
  await client.call("confirm.select-ok", confirm.select(1));
  await declare(client, "once.full", "fanout", { "x-message-deduplication": true });
  const args = { "x-max-length": 1, "x-overflow": "reject-publish" };
  await client.call("queue.declare-ok", queue.declare(1, "once.full", { exclusive: true, args }));
  await client.call("queue.bind-ok", queue.bind(1, "once.full", "once.full", ""));
  publish(client, "once.full", "", "1", { "x-deduplication-header": 1 });
  await client.reply("basic.ack");
  publish(client, "once.full", "", "2", { "x-deduplication-header": 2 });
  await client.reply("basic.nack");
  assert.deepEqual(await bodiesIn(client, "once.full"), ["1"]);
  publish(client, "once.full", "", "2", { "x-deduplication-header": 2 });
  await client.reply("basic.ack");
  assert.deepEqual(await bodiesIn(client, "once.full"), ["2"]);
});

test("routes through several kinds of exchanges follow every change of theirs (behaviours 29, 31)", async () => {
  const client = await broker.open();
  await declare(client, "mixed.outer", "topic", { "alternate-exchange": "mixed.rest" });
  await declare(client, "mixed.headers", "headers");
  await declare(client, "mixed.rest", "fanout");
  const rest = await bound(client, "mixed.rest");
  const red = await bound(client, "mixed.headers", "", { colour: "red" });
  const send = (colour: string) => publish(client, "mixed.outer", "a.b", colour, { colour });
  send("red");
  await client.call("exchange.bind-ok", exchange.bind(1, "mixed.headers", "mixed.outer", "a.*"));
  send("red");
  send("blue");
  const blue = await bound(client, "mixed.headers", "", { colour: "blue" });
  send("blue");
  await client.call("exchange.unbind-ok", exchange.unbind(1, "mixed.headers", "mixed.outer", "a.*"));
  send("blue");
  assert.deepEqual(await bodiesIn(client, rest), ["red", "blue"]);
  assert.deepEqual(await bodiesIn(client, red), ["red"]);
  assert.deepEqual(await bodiesIn(client, blue), ["blue"]);
});

test("exchanges, their arguments and bindings of every type survive a restart (behaviours 29)", async () => {
  const disk = new DiskBroker();
  try {
    let client = await disk.open();
    const durable = async (name: string) => {
      await client.call("queue.declare-ok", queue.declare(1, name, { durable: true }));
    };
    const exchanges: [string, string, Table][] = [
      ["ring", "x-consistent-hash", {}],
      ["jump", "x-consistent-hash", { "x-algorithm": "jump", "hash-header": "id" }],
      ["headers", "headers", { "alternate-exchange": "rest" }],
      ["rest", "fanout", { "x-message-deduplication": true, "x-cache-size": 10, "x-note": "kept" }],
    ];
    for (const [name, type, args] of exchanges) await declare(client, name, type, args, true);
    const hashed = ["h1", "h2", "h3"];
    for (const [index, name] of hashed.entries()) {
      await durable(name);
      for (const source of ["ring", "jump"]) {
        await client.call("queue.bind-ok", queue.bind(1, name, source, `${3 - index}`));
      }
    }
    await durable("matched");
    await durable("unmatched");
    for (const source of ["headers", "amq.match"]) {
      await client.call("queue.bind-ok", queue.bind(1, "matched", source, "", { "x-match": "any", a: 1, b: "x" }));
    }
    await client.call("queue.bind-ok", queue.bind(1, "unmatched", "rest", ""));
    const send = (source: string) => (key: string) =>
      publish(client, source, source === "ring" ? key : "", key, { id: key });
    const before = [await placed(client, hashed, send("ring")), await placed(client, hashed, send("jump"))];
    for (let life = 0; life < 2; life++) {
      await disk.restart();
      client = await disk.open();
      for (const [name, type, args] of exchanges) await declare(client, name, type, args, true);
      assert.deepEqual(await placed(client, hashed, send("ring")), before[0]);
      assert.deepEqual(await placed(client, hashed, send("jump")), before[1]);
      publish(client, "headers", "", "yes", { b: "x" });
      publish(client, "amq.match", "", "yes too", { a: 1 });
      for (let i = 0; i < 2; i++) publish(client, "headers", "", "no", { b: "y", "x-deduplication-header": "no" });
      assert.deepEqual(await bodiesIn(client, "matched"), ["yes", "yes too"]);
      assert.deepEqual(await bodiesIn(client, "unmatched"), ["no"]);
    }
  } finally {
    await disk.stop();
  }
});
