// Class exchange: declare, delete, bind, unbind, and where messages go.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import { basic, exchange, queue } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

async function refusal(bytes: Buffer): Promise<[string, number]> {
  const client = await broker.open();
  client.send(bytes);
  const { level, code } = await client.refused();
  return [level, code];
}

/** Declares an exclusive queue of the broker's naming and binds it. */
async function boundQueue(client: RawAmqp, source: string, key: string): Promise<string> {
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  await client.call("queue.bind-ok", queue.bind(1, name, source, key));
  return name;
}

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

test("names that begin with amq. are the broker's: neither declared nor deleted (behaviours 26)", async () => {
  assert.deepEqual(await refusal(exchange.declare(1, "amq.mine", "direct")), ["channel", 403]);
  assert.deepEqual(await refusal(exchange.delete(1, "amq.topic")), ["channel", 403]);
  assert.deepEqual(await refusal(exchange.delete(1, "amq.mine")), ["channel", 403]);
  const client = await broker.open();
  await client.call("exchange.declare-ok", exchange.declare(1, "amq.topic", "topic", { durable: true }));
  for (const name of ["amq.direct", "amq.fanout", "amq.topic"]) {
    await client.call("exchange.declare-ok", exchange.declare(1, name, "", { passive: true }));
  }
});

test("the default exchange is left alone: no declare, delete, bind or unbind (behaviours 27)", async () => {
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "alone", { autoDelete: true }));
  await client.call("exchange.declare-ok", exchange.declare(1, "alone", "direct", { autoDelete: true }));
  const forbidden = [
    exchange.declare(1, "", "direct", { durable: true }),
    exchange.declare(1, "", "direct", { passive: true }),
    exchange.delete(1, ""),
    queue.bind(1, "alone", "", "key"),
    queue.unbind(1, "alone", "", "alone"),
    exchange.bind(1, "alone", "", "key"),
    exchange.bind(1, "", "alone", "key"),
    exchange.unbind(1, "alone", "", "key"),
  ];
  for (const bytes of forbidden) assert.deepEqual(await refusal(bytes), ["channel", 403]);
});

test("a redeclaration must be the same in everything (behaviours 34)", async () => {
  const client = await broker.open();
  const options = { durable: true, args: { "x-note": "a" } };
  await client.call("exchange.declare-ok", exchange.declare(1, "same", "topic", options));
  await client.call("exchange.declare-ok", exchange.declare(1, "same", "topic", options));
  const different = [
    exchange.declare(1, "same", "direct", options),
    exchange.declare(1, "same", "topic", { ...options, durable: false }),
    exchange.declare(1, "same", "topic", { ...options, autoDelete: true }),
    exchange.declare(1, "same", "topic", { ...options, internal: true }),
    exchange.declare(1, "same", "topic", { ...options, args: { "x-note": "b" } }),
  ];
  for (const bytes of different) assert.deepEqual(await refusal(bytes), ["channel", 406]);
  await client.call("exchange.delete-ok", exchange.delete(1, "same"));
});

test("unknown types and missing exchanges are refused on the channel", async () => {
  assert.deepEqual(await refusal(exchange.declare(1, "odd", "no-such-type")), ["channel", 406]);
  assert.deepEqual(await refusal(exchange.declare(1, "missing", "", { passive: true })), ["channel", 404]);
  assert.deepEqual(await refusal(exchange.bind(1, "amq.topic", "missing", "k")), ["channel", 404]);
  assert.deepEqual(await refusal(exchange.bind(1, "missing", "amq.topic", "k")), ["channel", 404]);
});

test("deleting what is not there succeeds, what is in use with if-unused does not", async () => {
  const client = await broker.open();
  await client.call("exchange.delete-ok", exchange.delete(1, "never-there"));
  await client.call("exchange.declare-ok", exchange.declare(1, "used", "fanout"));
  const name = await boundQueue(client, "used", "");
  assert.deepEqual(await refusal(exchange.delete(1, "used", { ifUnused: true })), ["channel", 406]);
  await client.call("queue.unbind-ok", queue.unbind(1, name, "used", ""));
  await client.call("exchange.delete-ok", exchange.delete(1, "used", { ifUnused: true }));
  assert.deepEqual(await refusal(exchange.declare(1, "used", "", { passive: true })), ["channel", 404]);
});

test("no-wait is not answered", async () => {
  const client = await broker.open();
  client.send(exchange.declare(1, "unanswered", "direct", { noWait: true, durable: true }));
  client.send(exchange.delete(1, "unanswered", { noWait: true }));
  await client.expectSilence(1);
});

test("an auto-delete exchange goes after its last binding, not before it had one (behaviours 23)", async () => {
  const client = await broker.open();
  const passive = (name: string) => exchange.declare(1, name, "", { passive: true });
  await client.call("exchange.declare-ok", exchange.declare(1, "fleeting", "direct", { autoDelete: true }));
  const [a, b] = [await boundQueue(client, "fleeting", "a"), await boundQueue(client, "fleeting", "b")];
  await client.call("queue.unbind-ok", queue.unbind(1, a!, "fleeting", "a"));
  await client.call("exchange.declare-ok", passive("fleeting"));
  await client.call("queue.delete-ok", queue.delete(1, b!));
  assert.deepEqual(await refusal(passive("fleeting")), ["channel", 404]);
});

test("messages go through exchanges bound to exchanges, each queue once (behaviours 29, 30)", async () => {
  const client = await broker.open();
  await client.call("exchange.declare-ok", exchange.declare(1, "outer", "topic", { autoDelete: true }));
  await client.call(
    "exchange.declare-ok",
    exchange.declare(1, "inner", "fanout", { autoDelete: true, internal: true }),
  );
  await client.call("exchange.bind-ok", exchange.bind(1, "inner", "outer", "in.#"));
  await client.call("exchange.bind-ok", exchange.bind(1, "inner", "outer", "*.twice"));
  const name = await boundQueue(client, "inner", "");
  await client.call("queue.bind-ok", queue.bind(1, name, "outer", "in.twice"));
  client.send(basic.publish(1, "in.twice", "once", { exchange: "outer" }));
  client.send(basic.publish(1, "out", "nowhere", { exchange: "outer" }));
  assert.deepEqual(await bodiesIn(client, name), ["once"]);
  await client.call("exchange.unbind-ok", exchange.unbind(1, "inner", "outer", "in.#"));
  client.send(basic.publish(1, "in.other", "unbound", { exchange: "outer" }));
  assert.deepEqual(await bodiesIn(client, name), []);
  assert.deepEqual(await refusal(basic.publish(1, "k", "body", { exchange: "inner" })), ["channel", 403]);
});

test("a chain of thousands of exchanges is followed to its end, and deleted from its end", async () => {
  const client = await broker.open();
  const length = 20_000;
  const name = (index: number) => `chain-${index}`;
  const links: Buffer[] = [];
  for (let index = 0; index < length; index++) {
    links.push(exchange.declare(1, name(index), "fanout", { autoDelete: true, noWait: true }));
  }
  client.send(...links);
  for (let index = 0; index < length - 1; index++) client.send(exchange.bind(1, name(index + 1), name(index), ""));
  for (let index = 0; index < length - 1; index++) await client.reply("exchange.bind-ok");
  const last = await boundQueue(client, name(length - 1), "");
  client.send(basic.publish(1, "", "far", { exchange: name(0) }));
  assert.deepEqual(await bodiesIn(client, last), ["far"]);
  await client.call("queue.delete-ok", queue.delete(1, last));
  client.send(exchange.declare(1, name(0), "", { passive: true }));
  assert.equal((await client.refused()).code, 404);
});
