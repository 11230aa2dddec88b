// Publisher confirms.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import { PERSISTENT } from "../support/raw_bytes.ts";
import { basic, channel, confirm, queue } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

async function confirming(): Promise<{ client: RawAmqp; name: string; durable: string }> {
  const client = await broker.open({ channels: 2 });
  const name = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true }))).shortString();
  const durable = (await client.call("queue.declare-ok", queue.declare(1, "", { durable: true, exclusive: true })))
    .shortString();
  await client.call("confirm.select-ok", confirm.select(1));
  return { client, name, durable };
}

/** Reads acks until `count` are confirmed: each once, none left out, multiple ones counted. */
async function confirmed(client: RawAmqp, from: number, count: number): Promise<void> {
  let next = from;
  while (next < from + count) {
    const { args } = await client.reply("basic.ack");
    const [tag, multiple] = [args.longlong(), args.octet() === 1];
    if (!multiple) assert.equal(tag, next, "a single ack is for the next one");
    assert.ok(tag >= next && tag < from + count, `ack of ${tag}, ${next} was next`);
    next = tag + 1;
  }
}

test("every publish is acked, persistent or not, routed or not, many by one ack (behaviours 13)", async () => {
  const { client, name, durable } = await confirming();
  const kinds = [
    () => basic.publish(1, name, "transient"),
    () => basic.publish(1, durable, "persistent", PERSISTENT),
    () => basic.publish(1, durable, "transient in a durable queue"),
    () => basic.publish(1, "no-such-queue", "to nobody", PERSISTENT),
    () => basic.publish(1, name, Buffer.alloc(300_000)),
    () => basic.publish(1, durable, ""),
  ];
  const count = 600;
  for (let index = 0; index < count; index++) client.send(kinds[index % kinds.length]!());
  await confirmed(client, 1, count);
  await client.expectSilence(1);
});

test("a single publish is confirmed at once, without another to push it (behaviours 14)", async () => {
  const { client, durable } = await confirming();
  for (let index = 0; index < 20; index++) {
    client.send(basic.publish(1, durable, "alone", PERSISTENT));
    const start = performance.now();
    await confirmed(client, index + 1, 1);
    assert.ok(performance.now() - start < 500, "not by a timer");
  }
});

test("numbers begin with confirm.select and count per channel; selecting again changes nothing", async () => {
  const { client, name } = await confirming();
  client.send(basic.publish(2, name, "not counted"));
  client.send(confirm.select(2, true), basic.publish(2, name, "1 of 2"));
  assert.equal((await client.reply("basic.ack")).channel, 2);
  client.send(basic.publish(1, name, "1 of 1"));
  await confirmed(client, 1, 1);
  await client.call("confirm.select-ok", confirm.select(1));
  client.send(basic.publish(1, name, "2 of 1"));
  await confirmed(client, 2, 1);
});

test("a message that a refusal kept out is not confirmed, those before it are stored", async () => {
  const { client, name } = await confirming();
  client.send(
    basic.publish(1, name, "good"),
    basic.publish(1, name, "bad", { exchange: "missing" }),
    basic.publish(1, name, "ignored"),
  );
  let acked = 0;
  let frame = await client.next();
  while (frame?.name === "60.80") {
    acked = Math.max(acked, frame.args.longlong());
    frame = await client.next();
  }
  assert.equal(frame?.name, "20.40");
  assert.ok(acked <= 1, `${acked} were acked`);
  client.send(channel.closeOk(1));
  const args = await client.call("queue.declare-ok", queue.declare(2, name, { passive: true }));
  args.shortString();
  assert.equal(args.long(), 1);
});

test("a channel without confirm.select is sent none", async () => {
  const { client, name } = await confirming();
  client.send(basic.publish(2, name, "unconfirmed"));
  await client.expectSilence(2);
  await client.expectSilence(1);
});

test("what a full queue refuses is nacked, what it takes is acked, on one channel (behaviours 15)", async () => {
  const { client, name } = await confirming();
  const args = { "x-max-length": 2, "x-overflow": "reject-publish" };
  const full = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true, args }))).shortString();
  for (const body of ["a", "b"]) client.send(basic.publish(1, full, body));
  await confirmed(client, 1, 2);
  // Refused 3, 5, 6; taken 4, 7.
  for (const key of [full, name, full, full, name]) client.send(basic.publish(1, key, "x"));
  const open = new Set([3, 4, 5, 6, 7]);
  const told = { "60.80": [] as number[], "60.120": [] as number[] };
  while (open.size > 0) {
    const frame = await client.next();
    assert.ok(frame?.name === "60.80" || frame?.name === "60.120", `${frame?.name}`);
    const { args } = frame;
    const [tag, multiple] = [args.longlong(), args.octet() === 1];
    assert.ok(open.has(tag), `${tag} is told once`);
    for (const number of [...open]) {
      if (number !== tag && !(multiple && number < tag)) continue;
      told[frame.name].push(number);
      open.delete(number);
    }
  }
  assert.deepEqual(told, { "60.80": [4, 7], "60.120": [3, 5, 6] });
  await client.expectSilence(1);
});

test("one queue of several that refuses is enough for a nack, though the others have it (behaviours 16)", async () => {
  const { client, name } = await confirming();
  const args = { "x-max-length": 1, "x-overflow": "reject-publish" };
  const full = (await client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true, args }))).shortString();
  for (const bound of [name, full]) await client.call("queue.bind-ok", queue.bind(1, bound, "amq.direct", "nacked"));
  const send = (): void => client.send(basic.publish(1, "nacked", "x", { exchange: "amq.direct", mandatory: true }));
  send();
  await client.reply("basic.ack");
  send();
  const nack = await client.reply("basic.nack");
  assert.equal(nack.args.longlong(), 2);
  const declared = await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
  declared.shortString();
  assert.equal(declared.long(), 2);
});
