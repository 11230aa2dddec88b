// Class channel, what is not there yet, and the order of replies.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MemoryBroker } from "../support/memory_broker.ts";
import { frame, HEARTBEAT, method, octet, shortString } from "../support/raw_bytes.ts";
import { basic, channel, confirm, connection, exchange, queue } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

test("a channel that is open already is a 504", async () => {
  const client = await broker.open();
  client.send(channel.open(1));
  const reason = await client.refused();
  assert.deepEqual([reason.level, reason.code], ["connection", 504]);
  assert.equal(await client.next(), null);
});

test("anything on a channel that is not open is a 504, content without a method too", async () => {
  const wrong = [
    queue.declare(2, "q"),
    basic.publishMethod(2, "q"),
    basic.publish(2, "q", "body").subarray(basic.publishMethod(2, "q").length),
    frame(3, 2, Buffer.from("body")),
    method(2, 20, 41 + 1),
  ];
  for (const bytes of wrong) {
    const client = await broker.open();
    client.send(bytes);
    const reason = await client.refused();
    assert.deepEqual([reason.level, reason.code], ["connection", 504]);
  }
});

test("settling on a channel that was never opened or is closed already hurts nobody (behaviours 9)", async () => {
  const client = await broker.open({ channels: 2 });
  await client.call("channel.close-ok", channel.close(2));
  for (const number of [2, 7]) {
    client.send(basic.ack(number, 1), basic.nack(number, 1), basic.reject(number, 1, true), channel.closeOk(number));
  }
  await client.expectSilence(1);
});

test("closing a channel that is not open is answered", async () => {
  const client = await broker.open();
  await client.call("channel.close-ok", channel.close(9));
  await client.expectSilence(1);
});

test("what comes on a channel that waits for close-ok is ignored, content too (behaviours 10)", async () => {
  const client = await broker.open({ channels: 2 });
  await client.call("queue.declare-ok", queue.declare(2, "closing-ignored", { exclusive: true }));
  client.send(
    basic.ack(1, 77),
    queue.declare(1, "closing-declared"),
    basic.publish(1, "closing-ignored", "ignored"),
    basic.publishMethod(1, "closing-ignored"),
    basic.ack(1, 78),
    channel.open(1),
  );
  assert.equal((await client.next())?.name, "20.40");
  client.send(queue.declare(1, "closing-declared"), channel.closeOk(1));
  const { args } =
    await (client.send(queue.declare(2, "closing-ignored", { passive: true })), client.reply("queue.declare-ok"));
  args.shortString();
  assert.equal(args.long(), 0, "nothing was published");
  client.send(queue.declare(2, "closing-declared", { passive: true }));
  assert.equal((await client.refused()).code, 404);
});

test("a channel.close that crosses the broker's is answered, and the number can be used again", async () => {
  const client = await broker.open();
  client.send(basic.ack(1, 77), channel.close(1));
  assert.equal((await client.next())?.name, "20.40");
  await client.reply("channel.close-ok");
  await client.call("channel.open-ok", channel.open(1));
  await client.expectSilence(1);
});

test("a number that is used again begins anew: tags from 1, no confirms, no queue declared last", async () => {
  const client = await broker.open({ channels: 2 });
  await client.call("queue.declare-ok", queue.declare(2, "anew", { exclusive: true }));
  client.send(basic.publish(2, "anew", "a"), basic.publish(2, "anew", "b"));
  await client.call("queue.declare-ok", queue.declare(1, "anew", { exclusive: true }));
  await client.call("confirm.select-ok", confirm.select(1));
  client.send(basic.get(1, "anew", true));
  assert.equal((await client.message()).deliveryTag, 1);
  await client.call("channel.close-ok", channel.close(1));
  await client.call("channel.open-ok", channel.open(1));
  client.send(basic.publish(1, "nowhere", "x"), basic.get(1, "anew", true));
  assert.equal((await client.message()).deliveryTag, 1);
  client.send(basic.get(1, ""));
  assert.equal((await client.refused()).code, 404);
});

test("an error of one channel leaves the others of its connection alone", async () => {
  const client = await broker.open({ channels: 3 });
  client.send(queue.declare(2, "missing", { passive: true }));
  const reason = await client.refused();
  assert.deepEqual([reason.level, reason.channel, reason.code, reason.method], ["channel", 2, 404, "50.10"]);
  assert.match(reason.text, /^NOT_FOUND - no queue 'missing' in vhost '\/'$/);
  await client.expectSilence(1);
  await client.expectSilence(3);
  await client.close();
});

test("what is not there yet is a 540, never silence", async () => {
  const missing: [string, Buffer][] = [
    ["class access", method(1, 30, 10, shortString("/"), octet(0))],
    ["an unknown method of a known class", method(1, 60, 999)],
    ["an unknown class", method(1, 4242, 10)],
    ["no-local", basic.consume(1, "q", { noLocal: true })],
    ["prefetch size", basic.qos(1, 1, { size: 1 })],
  ];
  for (const [name, bytes] of missing) {
    const client = await broker.open();
    await client.call("queue.declare-ok", queue.declare(1, "q", { exclusive: true }));
    client.send(bytes);
    const reason = await client.refused();
    assert.deepEqual([reason.level, reason.code], ["connection", 540], `${name}: ${reason.text}`);
    assert.match(reason.text, /^NOT_IMPLEMENTED - ./);
  }
});

test("a method whose arguments are cut or too long is a 501", async () => {
  const whole = queue.declare(1, "cut", { args: { a: "b" } }).subarray(11, -1);
  for (let length = 0; length <= whole.length + 1; length++) {
    if (length === whole.length) continue;
    const args = Buffer.concat([whole, octet(0)]).subarray(0, length);
    const client = await broker.open();
    client.send(method(1, 50, 10, args));
    const reason = await client.refused();
    assert.deepEqual([reason.level, reason.code], ["connection", 501], `${length} octets: ${reason.text}`);
  }
});

test("the method that was refused is named by its numbers, a frame on a channel that is not open by none", async () => {
  const client = await broker.open();
  client.send(basic.qos(1, 1, { size: 1 }));
  assert.equal((await client.refused()).method, "60.10");
  const other = await broker.open();
  other.send(basic.qos(1, 1), queue.declare(2, "q"));
  await other.reply("basic.qos-ok");
  assert.equal((await other.refused()).method, "0.0");
});

test("replies come in the order of the requests, though some wait for the disk and others do not", async () => {
  const client = await broker.open();
  client.send(
    queue.declare(1, "order", { durable: true }),
    basic.qos(1, 5),
    exchange.declare(1, "order", "topic", { durable: true }),
    queue.bind(1, "order", "order", "#"),
    basic.get(1, "order"),
    queue.declare(1, "order", { passive: true }),
    queue.delete(1, "order"),
    exchange.delete(1, "order"),
    channel.close(1),
  );
  await client.reply("queue.declare-ok");
  await client.reply("basic.qos-ok");
  await client.reply("exchange.declare-ok");
  await client.reply("queue.bind-ok");
  await client.reply("basic.get-empty");
  await client.reply("queue.declare-ok");
  await client.reply("queue.delete-ok");
  await client.reply("exchange.delete-ok");
  await client.reply("channel.close-ok");
  await client.call("channel.open-ok", channel.open(1));
  await client.expectSilence(1);
});

test("a message asked for on a channel that closes before its turn stays in the queue", async () => {
  const client = await broker.open({ channels: 2 });
  await client.call("queue.declare-ok", queue.declare(1, "stays", { exclusive: true }));
  client.send(basic.publish(1, "stays", "here"));
  for (const end of [channel.close(2), basic.ack(2, 99)]) {
    client.send(queue.declare(2, "stays-durable", { durable: true }), basic.get(2, "stays"), end);
    client.send(queue.delete(1, "stays-durable"));
    while (true) {
      const reply = await client.next();
      if (reply?.name === "20.40") client.send(channel.closeOk(2));
      if (reply?.name === "20.40" || reply?.name === "20.41") break;
    }
    await client.reply("queue.delete-ok");
    await client.call("channel.open-ok", channel.open(2));
    client.send(basic.get(1, "stays"));
    const message = await client.message();
    assert.equal(message.body.toString(), "here");
    client.send(basic.reject(1, message.deliveryTag, true));
  }
});

test("nothing follows connection.close-ok, though replies waited for the disk", async () => {
  const client = await broker.open();
  client.send(queue.declare(1, "last-words", { durable: true }), connection.close());
  await client.reply("connection.close-ok");
  assert.equal(await client.next(), null);
});

test("heartbeats may come between any two frames, also in the middle of a message", async () => {
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "beats", { exclusive: true }));
  const beat = frame(HEARTBEAT, 0);
  const whole = basic.publish(1, "beats", "a".repeat(20), { frameMax: 18 });
  const method = basic.publishMethod(1, "beats");
  const header = whole.subarray(method.length, method.length + 22);
  const bodies = whole.subarray(method.length + 22);
  client.send(method, beat, header, beat, bodies.subarray(0, 18), beat, bodies.subarray(18), beat);
  client.send(basic.get(1, "beats"));
  assert.equal((await client.message()).body.toString(), "a".repeat(20));
});
