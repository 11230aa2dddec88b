// Dead letters: why a message dies, where it goes, what its headers say, and that none is lost on the way.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { DiskBroker } from "../support/disk_broker.ts";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp, RawMessage } from "../support/raw_amqp.ts";
import type { Table } from "../support/raw_bytes.ts";
import { headersOf, type Plain, propertiesOf, withProperties } from "../support/raw_headers.ts";
import { basic, confirm, exchange, queue } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

async function declare(client: RawAmqp, name: string, args: Table = {}, durable = false): Promise<void> {
  await client.call("queue.declare-ok", queue.declare(1, name, { args, durable }));
}

/** The next message of a queue, which comes in its own time. */
async function taken(client: RawAmqp, name: string, noAck = true): Promise<RawMessage> {
  return await waitFor(`message in ${name}`, async () => {
    client.send(basic.get(1, name, noAck));
    return await message(client);
  });
}

/** The answer to a basic.get. */
async function message(client: RawAmqp): Promise<RawMessage | undefined> {
  try {
    return await client.message();
  } catch (error) {
    if (/found 60.72/.test(String(error))) return undefined;
    throw error;
  }
}

async function isEmpty(client: RawAmqp, name: string): Promise<boolean> {
  const args = await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
  args.shortString();
  return args.long() === 0;
}

type Death = { [key: string]: Plain };

function deathsOf(message: RawMessage): Death[] {
  const deaths = headersOf(message)["x-death"] as unknown as Death[];
  return deaths.map(({ time, ...rest }) => {
    assert.ok(Math.abs(Number(time) - Date.now() / 1000) < 60, `died at ${String(time)}`);
    return rest;
  });
}

test("what a consumer rejects goes to the dead letter exchange, with its death written on it (behaviours 50, 52)", async () => {
  const client = await broker.open();
  await client.call("exchange.declare-ok", exchange.declare(1, "rejected-x", "topic"));
  await declare(client, "rejected-to");
  await declare(client, "rejected-from", { "x-dead-letter-exchange": "rejected-x" });
  await client.call("queue.bind-ok", queue.bind(1, "rejected-to", "rejected-x", "#"));
  await client.call("queue.bind-ok", queue.bind(1, "rejected-from", "amq.direct", "key"));
  const properties = withProperties({ headers: { own: "kept" }, persistent: true });
  client.send(basic.publish(1, "key", "body", { ...properties, exchange: "amq.direct" }));
  const first = await taken(client, "rejected-from", false);
  client.send(basic.reject(1, first.deliveryTag, false));
  const dead = await taken(client, "rejected-to");
  assert.deepEqual([dead.exchange, dead.routingKey, dead.body.toString()], ["rejected-x", "key", "body"]);
  assert.deepEqual(deathsOf(dead), [
    { count: 1, reason: "rejected", queue: "rejected-from", exchange: "amq.direct", "routing-keys": ["key"] },
  ]);
  const { headers, persistent } = propertiesOf(dead);
  const { "x-death": _, ...others } = headers;
  assert.ok(persistent);
  assert.deepEqual(others, {
    own: "kept",
    "x-first-death-reason": "rejected",
    "x-first-death-queue": "rejected-from",
    "x-first-death-exchange": "amq.direct",
    "x-last-death-reason": "rejected",
    "x-last-death-queue": "rejected-from",
    "x-last-death-exchange": "amq.direct",
  });
  assert.ok(await isEmpty(client, "rejected-from"));
});

test("nack of several dead-letters each, in order; requeue dead-letters none", async () => {
  const client = await broker.open();
  await declare(client, "several-to");
  await declare(client, "several", { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "several-to" });
  client.send(...["a", "b", "c"].map((body) => basic.publish(1, "several", body)));
  await client.call("basic.consume-ok", basic.consume(1, "several", { tag: "tag" }));
  const [a, , c] = await client.messages(3);
  client.send(basic.nack(1, a!.deliveryTag, { requeue: true }));
  const again = await client.message();
  assert.ok(again.redelivered);
  client.send(basic.nack(1, c!.deliveryTag, { multiple: true, requeue: false }), basic.cancel(1, "tag"));
  await client.reply("basic.cancel-ok");
  client.send(basic.nack(1, 0, { multiple: true, requeue: false }));
  const bodies = [];
  for (let index = 0; index < 3; index++) bodies.push((await taken(client, "several-to")).body.toString());
  assert.deepEqual(bodies, ["b", "c", "a"]);
});

test("counts per queue and reason, the newest death first, the first one kept (behaviours 50)", async () => {
  const client = await broker.open();
  await declare(client, "retry", { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "wait" });
  const back = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "retry" };
  await declare(client, "wait", { ...back, "x-message-ttl": 1 });
  client.send(basic.publish(1, "retry", "again"));
  for (let round = 0; round < 3; round++) {
    const { deliveryTag } = await taken(client, "retry", false);
    client.send(basic.reject(1, deliveryTag, false));
  }
  const last = await taken(client, "retry");
  assert.deepEqual(deathsOf(last), [
    { count: 3, reason: "expired", queue: "wait", exchange: "", "routing-keys": ["wait"] },
    { count: 3, reason: "rejected", queue: "retry", exchange: "", "routing-keys": ["retry"] },
  ]);
  const headers = headersOf(last);
  assert.equal(headers["x-first-death-queue"], "retry");
  assert.equal(headers["x-first-death-reason"], "rejected");
  assert.equal(headers["x-last-death-queue"], "wait");
  assert.equal(headers["x-last-death-reason"], "expired");
});

test("a message's own expiration ends with its death (behaviours 50)", async () => {
  const client = await broker.open();
  await declare(client, "expiration-to");
  const args = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "expiration-to" };
  await declare(client, "expiration", args);
  client.send(basic.publish(1, "expiration", "brief", withProperties({ expiration: "1" })));
  const dead = await taken(client, "expiration-to");
  assert.equal(propertiesOf(dead).expiration, undefined);
  const [death] = deathsOf(dead);
  assert.equal(death!["original-expiration"], "1");
  assert.equal(death!["reason"], "expired");
});

test("without a routing key the message's own and CC lead on; with one CC stays but leads nowhere (behaviours 52)", async () => {
  const client = await broker.open();
  await client.call("exchange.declare-ok", exchange.declare(1, "cc-x", "direct"));
  for (const name of ["cc-own", "cc-copy", "cc-key"]) {
    await declare(client, name);
    await client.call("queue.bind-ok", queue.bind(1, name, "cc-x", name));
  }
  await declare(client, "cc-kept", { "x-dead-letter-exchange": "cc-x", "x-max-length": 0 });
  await declare(client, "cc-keyed", {
    "x-dead-letter-exchange": "cc-x",
    "x-dead-letter-routing-key": "cc-key",
    "x-max-length": 0,
  });
  await client.call("exchange.declare-ok", exchange.declare(1, "cc-in", "direct"));
  await client.call("queue.bind-ok", queue.bind(1, "cc-kept", "cc-in", "cc-own"));
  const copies = withProperties({ headers: { CC: ["cc-copy"] } });
  client.send(basic.publish(1, "cc-own", "kept", { ...copies, exchange: "cc-in" }));
  for (const name of ["cc-own", "cc-copy"]) {
    const dead = await taken(client, name);
    assert.deepEqual([dead.exchange, dead.routingKey, headersOf(dead)["CC"]], ["cc-x", "cc-own", ["cc-copy"]]);
    assert.deepEqual(deathsOf(dead)[0]!["routing-keys"], ["cc-own", "cc-copy"]);
  }
  client.send(basic.publish(1, "cc-keyed", "keyed", copies));
  const dead = await taken(client, "cc-key");
  assert.deepEqual([dead.routingKey, headersOf(dead)["CC"]], ["cc-key", ["cc-copy"]]);
  assert.ok(await isEmpty(client, "cc-own"));
});

test("a dead letter exchange that is not there deletes; one that is internal serves (behaviours 52)", async () => {
  const client = await broker.open();
  await declare(client, "nowhere", { "x-dead-letter-exchange": "nowhere-x" });
  client.send(basic.publish(1, "nowhere", "lost"));
  client.send(basic.reject(1, (await taken(client, "nowhere", false)).deliveryTag, false));
  assert.ok(await isEmpty(client, "nowhere"));
  await client.call("exchange.declare-ok", exchange.declare(1, "nowhere-x", "fanout", { internal: true }));
  await declare(client, "somewhere");
  await client.call("queue.bind-ok", queue.bind(1, "somewhere", "nowhere-x", ""));
  client.send(basic.publish(1, "nowhere", "found"));
  client.send(basic.reject(1, (await taken(client, "nowhere", false)).deliveryTag, false));
  assert.equal((await taken(client, "somewhere")).body.toString(), "found");
});

test("who goes round by himself is cut: ttl and maxlen in a circle (behaviours 51)", async () => {
  const client = await broker.open();
  const to = (name: string): Table => ({ "x-dead-letter-exchange": "", "x-dead-letter-routing-key": name });
  await declare(client, "circle-a", { ...to("circle-b"), "x-message-ttl": 1 });
  await declare(client, "circle-b", { ...to("circle-a"), "x-message-ttl": 1 });
  await declare(client, "circle-self", { ...to("circle-self"), "x-max-length": 0 });
  client.send(basic.publish(1, "circle-a", "round"), basic.publish(1, "circle-self", "round"));
  await waitFor("end of the circles", async () => {
    return (await isEmpty(client, "circle-a")) && (await isEmpty(client, "circle-b"));
  });
  assert.ok(await isEmpty(client, "circle-self"));
});

test("a client's reject lets a message go round again (behaviours 51)", async () => {
  const client = await broker.open();
  await declare(client, "self", { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "self" });
  client.send(basic.publish(1, "self", "round"));
  for (let round = 0; round < 5; round++) {
    const { deliveryTag } = await taken(client, "self", false);
    client.send(basic.reject(1, deliveryTag, false));
  }
  assert.equal(deathsOf(await taken(client, "self"))[0]!["count"], 5);
});

test("a long chain of queues that dead-letter to one another costs no stack (behaviours 51)", async () => {
  const client = await broker.open();
  const LENGTH = 500;
  for (let index = 0; index < LENGTH; index++) {
    const args = {
      "x-max-length": 0,
      "x-overflow": index % 2 === 0 ? "drop-head" : "reject-publish-dlx",
      "x-dead-letter-exchange": "",
      "x-dead-letter-routing-key": `chain-${index + 1}`,
    };
    client.send(queue.declare(1, `chain-${index}`, { args }));
  }
  for (let index = 0; index < LENGTH; index++) await client.reply("queue.declare-ok");
  await declare(client, `chain-${LENGTH}`);
  client.send(basic.publish(1, "chain-0", "far"));
  const dead = await taken(client, `chain-${LENGTH}`);
  assert.equal(dead.body.toString(), "far");
  assert.equal(headersOf(dead)["x-first-death-queue"], "chain-0");
});

test("headers that nobody can read end with the message's death, and nothing else does", async () => {
  const client = await broker.open();
  await declare(client, "unreadable", { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "unreadable" });
  const properties = { flags: 1 << 13, properties: Buffer.from([0, 0, 0, 3, 1, 0x6b, 0x3f]) };
  client.send(basic.publish(1, "unreadable", "x", properties), basic.get(1, "unreadable"));
  const answer = await client.next();
  if (answer?.name === "60.71") client.send(basic.reject(1, 1, false));
  const other = await broker.open();
  await declare(other, "unreadable-other");
});

test("a dead letter survives whatever happens to the broker: kill and stop (behaviours 50)", async () => {
  const disk = new DiskBroker();
  try {
    let client = await disk.open();
    await declare(client, "dead", {}, true);
    const args = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead" };
    await declare(client, "alive", args, true);
    await client.call("confirm.select-ok", confirm.select(1));
    const persistent = withProperties({ persistent: true });
    for (let index = 0; index < 20; index++) client.send(basic.publish(1, "alive", `${index}`, persistent));
    for (let acked = 0; acked < 20;) acked = (await client.reply("basic.ack")).args.longlong();
    const bodies = new Set<string>();
    for (let index = 0; index < 20; index++) {
      const held = await taken(client, "alive", false);
      client.send(basic.reject(1, held.deliveryTag, false));
      if (index % 4 !== 3) continue;
      // At any moment a message is in one of the two queues, or in both: nobody has rejected it yet, or it has been
      // taken over and perhaps not settled yet where it was.
      if (index % 8 === 7) await client.expectSilence(1);
      await disk.kill();
      client = await disk.open();
      await client.call("confirm.select-ok", confirm.select(1));
    }
    await disk.restart();
    client = await disk.open();
    for (const name of ["dead", "alive"]) {
      client.send(basic.get(1, name, true));
      for (let found = await message(client); found !== undefined; found = await message(client)) {
        bodies.add(found.body.toString());
        client.send(basic.get(1, name, true));
      }
    }
    assert.deepEqual([...bodies].map(Number).sort((a, b) => a - b), Array.from({ length: 20 }, (_, index) => index));
  } finally {
    await disk.stop();
  }
});
