// CC and BCC headers: further routing keys of one message.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import { array, propertyList, type RawField, rawTable, text, withProperties } from "../support/raw_properties.ts";
import { basic, channel, confirm, exchange, queue, tx } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

/** A client with queues of these names, its own alone. */
async function withQueues(...names: string[]): Promise<RawAmqp> {
  const client = await broker.open();
  for (const name of names) await client.call("queue.declare-ok", queue.declare(1, name, { exclusive: true }));
  return client;
}

const headers = (...fields: [string, RawField][]) => withProperties({ headers: rawTable(...fields), deliveryMode: 1 });
const texts = (...keys: string[]): RawField => array(...keys.map((key) => text(key)));

async function take(client: RawAmqp, name: string): Promise<{ routingKey: string; properties: Buffer }> {
  client.send(basic.get(1, name, true));
  return await client.message();
}

const isEmpty = async (client: RawAmqp, name: string) =>
  assert.ok(await client.call("basic.get-empty", basic.get(1, name, true)));

test("CC leads to further queues and is seen by all of them, byte for byte (behaviours 32)", async () => {
  const client = await withQueues("cc-a", "cc-b", "cc-c");
  const options = headers(["x", text("before")], ["CC", texts("cc-b", "cc-none", "cc-c", "cc-b")]);
  client.send(basic.publish(1, "cc-a", "copied", options));
  for (const name of ["cc-a", "cc-b", "cc-c"]) {
    const message = await take(client, name);
    assert.equal(message.routingKey, "cc-a", "the key that it was published with");
    assert.deepEqual(message.properties, propertyList(options));
    await isEmpty(client, name);
  }
});

test("BCC leads to further queues and is hidden from all of them (behaviours 32)", async () => {
  const client = await withQueues("bcc-a", "bcc-b", "bcc-c");
  const options = headers(
    ["x", text("kept")],
    ["BCC", texts("bcc-b")],
    ["CC", texts("bcc-c")],
    ["y", array(text("z"))],
  );
  const shown = headers(["x", text("kept")], ["CC", texts("bcc-c")], ["y", array(text("z"))]);
  client.send(basic.publish(1, "bcc-a", "hidden", options));
  for (const name of ["bcc-a", "bcc-b", "bcc-c"]) {
    assert.deepEqual((await take(client, name)).properties, propertyList(shown));
    await isEmpty(client, name);
  }
});

test("keys of CC and BCC go through any exchange, each queue once (behaviours 32)", async () => {
  const client = await withQueues("cc-topic");
  await client.call("exchange.declare-ok", exchange.declare(1, "cc-ex", "topic", { autoDelete: true }));
  await client.call("queue.bind-ok", queue.bind(1, "cc-topic", "cc-ex", "*.orange"));
  const send = (key: string, ...cc: string[]) =>
    client.send(basic.publish(1, key, key, { exchange: "cc-ex", ...headers(["CC", texts(...cc)]) }));
  send("a.apple", "an.orange", "another.orange");
  send("an.orange", "another.orange");
  send("a.apple", "a.pear");
  assert.equal((await take(client, "cc-topic")).routingKey, "a.apple");
  assert.equal((await take(client, "cc-topic")).routingKey, "an.orange");
  await isEmpty(client, "cc-topic");
});

test("what CC adds holds for its message alone: the next one with the same key goes where the key says", async () => {
  const client = await withQueues("alone-a", "alone-b");
  client.send(
    basic.publish(1, "alone-a", "plain"),
    basic.publish(1, "alone-a", "copied", headers(["CC", texts("alone-b")])),
    basic.publish(1, "alone-a", "plain"),
    basic.publish(1, "alone-a", "without", headers(["CCC", texts("alone-b")])),
  );
  for (const expected of ["plain", "copied", "plain", "without"]) {
    client.send(basic.get(1, "alone-a", true));
    assert.equal((await client.message()).body.toString(), expected);
  }
  await take(client, "alone-b");
  await isEmpty(client, "alone-b");
});

test("a mandatory message that only CC or BCC can route is not returned, one that nothing routes is, without BCC", async () => {
  const client = await withQueues("cc-mandatory");
  await client.call("confirm.select-ok", confirm.select(1));
  for (const name of ["CC", "BCC"]) {
    const options = { ...headers([name, texts("cc-mandatory")]), mandatory: true };
    client.send(basic.publish(1, "cc-nowhere", "routed", options));
    await client.reply("basic.ack");
    await take(client, "cc-mandatory");
  }
  const nowhere = { ...headers(["BCC", texts("cc-nowhere")], ["z", text("")]), mandatory: true };
  client.send(basic.publish(1, "cc-nowhere", "returned", nowhere));
  const returned = await client.message();
  assert.deepEqual([returned.by, returned.replyCode], ["return", 312]);
  assert.deepEqual(returned.properties, propertyList(headers(["z", text("")])));
  await client.reply("basic.ack");
});

test("CC and BCC that are no arrays are a 406 on the channel, members that are no texts are passed over", async () => {
  const wrong: [string, RawField, RegExp][] = [
    ["CC", text("q"), /^PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,"CC",longstr}$/],
    ["BCC", Buffer.from("t\x01"), /{unacceptable_type_in_header,"BCC",bool}$/],
    ["CC", Buffer.from("V"), /{unacceptable_type_in_header,"CC",void}$/],
  ];
  const client = await withQueues("cc-typed");
  for (const [name, field, reason] of wrong) {
    client.send(basic.publish(1, "cc-typed", "refused", headers([name, field])));
    const closing = await client.refused();
    assert.deepEqual([closing.level, closing.code], ["channel", 406]);
    assert.match(closing.text, reason);
    await client.call("channel.open-ok", channel.open(1));
  }
  const members = array(Buffer.from("t\x01"), text("cc-typed"), Buffer.from("V"));
  client.send(basic.publish(1, "cc-nowhere", "passed", headers(["CC", members])));
  await take(client, "cc-typed");
  await isEmpty(client, "cc-typed");
});

test("a body of several frames and of several pieces is copied whole", async () => {
  const client = await withQueues("cc-large-a", "cc-large-b");
  const body = Buffer.alloc(300_000, "0123456789");
  const bytes = basic.publish(1, "cc-large-a", body, headers(["BCC", texts("cc-large-b")]));
  for (let at = 0; at < bytes.length; at += 70_001) {
    client.send(bytes.subarray(at, at + 70_001));
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const name of ["cc-large-a", "cc-large-b"]) {
    client.send(basic.get(1, name, true));
    assert.ok((await client.message()).body.equals(body));
  }
});

test("CC works in a transaction", async () => {
  const client = await withQueues("cc-tx-a", "cc-tx-b");
  await client.call("tx.select-ok", tx.select(1));
  client.send(basic.publish(1, "cc-tx-a", "x", headers(["CC", texts("cc-tx-b")])), basic.publish(1, "cc-tx-a", "y"));
  await isEmpty(client, "cc-tx-b");
  await client.call("tx.commit-ok", tx.commit(1));
  await take(client, "cc-tx-b");
  await isEmpty(client, "cc-tx-b");
});
