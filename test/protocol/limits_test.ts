// Queues with limits: length and bytes, what happens to what is too much, and how often a message may come back.
// And the arguments of queues: what is refused, and in which words.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { DiskBroker } from "../support/disk_broker.ts";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import type { Table } from "../support/raw_bytes.ts";
import { headersOf, withProperties } from "../support/raw_headers.ts";
import { basic, confirm, queue } from "../support/raw_methods.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

async function declare(client: RawAmqp, name: string, args: Table = {}, durable = false): Promise<void> {
  await client.call("queue.declare-ok", queue.declare(1, name, { args, durable }));
}

function publish(client: RawAmqp, name: string, bodies: readonly string[]): void {
  client.send(...bodies.map((body) => basic.publish(1, name, body)));
}

/** Everything in a queue. */
async function drain(client: RawAmqp, name: string): Promise<string[]> {
  const reply = await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
  reply.shortString();
  const count = reply.long();
  for (let index = 0; index < count; index++) client.send(basic.get(1, name, true));
  return (await client.messages(count)).map(({ body }) => body.toString());
}

/** Which of the first `count` publishes were confirmed, and which refused. */
async function outcomes(client: RawAmqp, count: number): Promise<{ acked: number[]; nacked: number[] }> {
  const found = { acked: [] as number[], nacked: [] as number[] };
  const seen = new Set<number>();
  while (seen.size < count) {
    const frame = await client.next();
    assert.ok(frame?.name === "60.80" || frame?.name === "60.120", `a confirm, not ${frame?.name}`);
    const { args } = frame;
    const tag = args.longlong();
    const multiple = (args.octet() & 1) !== 0;
    for (let each = multiple ? 1 : tag; each <= tag; each++) {
      if (seen.has(each)) continue;
      seen.add(each);
      found[frame.name === "60.80" ? "acked" : "nacked"].push(each);
    }
  }
  return found;
}

test("drop-head drops the oldest, by count and by bytes (behaviours 18)", async () => {
  const client = await broker.open();
  await declare(client, "by-count", { "x-max-length": 2 });
  publish(client, "by-count", ["1", "2", "3", "4"]);
  assert.deepEqual(await drain(client, "by-count"), ["3", "4"]);
  await declare(client, "by-bytes", { "x-max-length-bytes": 10, "x-overflow": "drop-head" });
  publish(client, "by-bytes", ["aaaa", "bbbb", "cccc"]);
  assert.deepEqual(await drain(client, "by-bytes"), ["bbbb", "cccc"]);
  publish(client, "by-bytes", ["a", "longer than all of it"]);
  assert.deepEqual(await drain(client, "by-bytes"), []);
});

test("what is dropped from the head dies of maxlen (behaviours 18)", async () => {
  const client = await broker.open();
  await declare(client, "maxlen-dead");
  const args = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "maxlen-dead" };
  await declare(client, "maxlen", { ...args, "x-max-length": 1 });
  publish(client, "maxlen", ["old", "new"]);
  await client.call("basic.consume-ok", basic.consume(1, "maxlen-dead", { noAck: true }));
  const dead = await client.message();
  assert.deepEqual([dead.body.toString(), headersOf(dead)["x-first-death-reason"]], ["old", "maxlen"]);
  assert.deepEqual(await drain(client, "maxlen"), ["new"]);
});

test("only what is ready counts; what comes back too much is dropped, too (behaviours 18)", async () => {
  const client = await broker.open();
  await declare(client, "ready", { "x-max-length": 1 });
  publish(client, "ready", ["1"]);
  client.send(basic.get(1, "ready"));
  const held = await client.message();
  publish(client, "ready", ["2"]);
  client.send(basic.reject(1, held.deliveryTag, true));
  assert.deepEqual(await drain(client, "ready"), ["2"]);
});

test("with a length of 0 a message reaches a consumer that is ready, or nobody (behaviours 19)", async () => {
  const client = await broker.open();
  await declare(client, "none", { "x-max-length": 0 });
  publish(client, "none", ["nobody"]);
  assert.deepEqual(await drain(client, "none"), []);
  await client.call("basic.qos-ok", basic.qos(1, 2));
  await client.call("basic.consume-ok", basic.consume(1, "none", { tag: "tag" }));
  publish(client, "none", ["1", "2", "dropped"]);
  const [first, second] = await client.messages(2);
  assert.deepEqual([first!.body.toString(), second!.body.toString()], ["1", "2"]);
  client.send(basic.ack(1, second!.deliveryTag, true));
  publish(client, "none", ["3"]);
  assert.equal((await client.message()).body.toString(), "3");
});

test("reject-publish nacks what is too much, and acks the rest on the same channel (behaviours 15)", async () => {
  const client = await broker.open();
  await declare(client, "refusing", { "x-max-length": 2, "x-overflow": "reject-publish" });
  await declare(client, "refusing-other");
  await client.call("confirm.select-ok", confirm.select(1));
  publish(client, "refusing", ["1", "2", "3"]);
  publish(client, "refusing-other", ["4"]);
  publish(client, "refusing", ["5"]);
  assert.deepEqual(await outcomes(client, 5), { acked: [1, 2, 4], nacked: [3, 5] });
  client.send(basic.get(1, "refusing", true));
  assert.equal((await client.message()).body.toString(), "1");
  publish(client, "refusing", ["6"]);
  const frame = await client.reply("basic.ack");
  assert.equal(frame.args.longlong(), 6, "there is room again");
});

test("one queue of several that refuses makes a nack, and the others keep it (behaviours 16)", async () => {
  const client = await broker.open();
  await declare(client, "partly-full", { "x-max-length-bytes": 3, "x-overflow": "reject-publish" });
  await declare(client, "partly-free");
  for (const name of ["partly-full", "partly-free"]) {
    await client.call("queue.bind-ok", queue.bind(1, name, "amq.fanout", ""));
  }
  await client.call("confirm.select-ok", confirm.select(1));
  client.send(basic.publish(1, "", "1234", { exchange: "amq.fanout" }));
  assert.deepEqual(await outcomes(client, 1), { acked: [], nacked: [1] });
  assert.deepEqual(await drain(client, "partly-free"), ["1234"]);
  for (const name of ["partly-full", "partly-free"]) {
    await client.call("queue.unbind-ok", queue.unbind(1, name, "amq.fanout", ""));
  }
});

test("reject-publish takes what a waiting consumer takes at once", async () => {
  const client = await broker.open();
  await declare(client, "flowing", { "x-max-length": 1, "x-overflow": "reject-publish" });
  await client.call("basic.consume-ok", basic.consume(1, "flowing", { noAck: true }));
  publish(client, "flowing", Array.from({ length: 50 }, (_, index) => `${index}`));
  const bodies = (await client.messages(50)).map(({ body }) => Number(body.toString()));
  assert.deepEqual(bodies, Array.from({ length: 50 }, (_, index) => index));
});

test("reject-publish-dlx nacks, and dead-letters what it refuses", async () => {
  const client = await broker.open();
  await declare(client, "refused-dead");
  await declare(client, "refused", {
    "x-max-length": 1,
    "x-overflow": "reject-publish-dlx",
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": "refused-dead",
  });
  await client.call("confirm.select-ok", confirm.select(1));
  publish(client, "refused", ["in", "out"]);
  assert.deepEqual(await outcomes(client, 2), { acked: [1], nacked: [2] });
  assert.deepEqual(await drain(client, "refused"), ["in"]);
  client.send(basic.get(1, "refused-dead", true));
  const dead = await client.message();
  assert.deepEqual([dead.body.toString(), headersOf(dead)["x-first-death-reason"]], ["out", "maxlen"]);
});

test("a message may come back as often as x-delivery-limit says, and is told how often it did (behaviours 36)", async () => {
  const client = await broker.open();
  await declare(client, "poison-dead");
  const args = { "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "poison-dead" };
  await declare(client, "poison", { ...args, "x-delivery-limit": 2 });
  publish(client, "poison", ["poison"]);
  await client.call("basic.consume-ok", basic.consume(1, "poison", { tag: "poison" }));
  for (const expected of [undefined, 1, 2]) {
    const message = await client.message();
    assert.equal(headersOf(message)["x-delivery-count"], expected);
    assert.equal(message.redelivered, expected !== undefined);
    client.send(basic.nack(1, message.deliveryTag, { requeue: true }));
  }
  await client.call("basic.consume-ok", basic.consume(1, "poison-dead", { noAck: true }));
  const dead = await client.message();
  assert.equal(headersOf(dead)["x-first-death-reason"], "delivery_limit");
  await declare(client, "poison-dropped", { "x-delivery-limit": 0 });
  publish(client, "poison-dropped", ["x"]);
  client.send(basic.get(1, "poison-dropped"));
  client.send(basic.reject(1, (await client.message()).deliveryTag, true));
  assert.deepEqual(await drain(client, "poison-dropped"), []);
});

test("delivery counts survive a restart; a quorum queue has a limit of 20 (behaviours 36)", async () => {
  const disk = new DiskBroker();
  try {
    let client = await disk.open();
    await declare(client, "quorum", { "x-queue-type": "quorum" }, true);
    client.send(basic.publish(1, "quorum", "x", withProperties({ persistent: true })));
    for (let round = 0; round <= 20; round++) {
      if (round === 5) {
        await client.close();
        await disk.restart();
        client = await disk.open();
      } else if (round === 10) {
        await client.expectSilence(1);
        await disk.kill();
        client = await disk.open();
      }
      client.send(basic.get(1, "quorum"));
      const message = await client.message();
      assert.equal(headersOf(message)["x-delivery-count"] ?? 0, round);
      client.send(basic.reject(1, message.deliveryTag, true));
    }
    assert.deepEqual(await drain(client, "quorum"), []);
  } finally {
    await disk.stop();
  }
});

test("a message with the key of an earlier one is not taken again", async () => {
  const client = await broker.open();
  await declare(client, "dedup", { "x-message-deduplication": true, "x-cache-size": 10 });
  for (const key of ["a", "b", "a"]) {
    client.send(basic.publish(1, "dedup", key, withProperties({ headers: { "x-deduplication-header": key } })));
  }
  publish(client, "dedup", ["without", "without"]);
  assert.deepEqual(await drain(client, "dedup"), ["a", "b", "without", "without"]);
});

test("arguments that make no sense are refused, in RabbitMQ's words", async () => {
  const wrong: [Table, string][] = [
    [{ "x-message-ttl": -1 }, "invalid arg 'x-message-ttl' for queue 'q' in vhost '/': {value_negative,-1}"],
    [
      { "x-message-ttl": "1" },
      `invalid arg 'x-message-ttl' for queue 'q' in vhost '/': "expected integer, got longstr"`,
    ],
    [{ "x-expires": 0 }, "invalid arg 'x-expires' for queue 'q' in vhost '/': {value_zero,0}"],
    [{ "x-max-length": -5 }, "invalid arg 'x-max-length' for queue 'q' in vhost '/': {value_negative,-5}"],
    [{ "x-max-length-bytes": true }, `'x-max-length-bytes' for queue 'q' in vhost '/': "expected integer, got bool"`],
    [{ "x-overflow": "drop-tail" }, "invalid arg 'x-overflow' for queue 'q' in vhost '/': invalid_overflow"],
    [{ "x-dead-letter-exchange": 1 }, "'x-dead-letter-exchange' for queue 'q' in vhost '/': {unacceptable_type,"],
    [{ "x-dead-letter-routing-key": "k" }, "routing_key_but_no_dlx_defined"],
    [{ "x-single-active-consumer": "yes" }, "'x-single-active-consumer' for queue 'q'"],
    [{ "x-delivery-limit": "3" }, `'x-delivery-limit' for queue 'q' in vhost '/': "expected integer, got longstr"`],
    [{ "x-consumer-timeout": -1 }, "'x-consumer-timeout' for queue 'q' in vhost '/': {value_negative,-1}"],
    [{ "x-max-priority": 256 }, "'x-max-priority' for queue 'q' in vhost '/': {max_value_exceeded,256}"],
    [{ "x-queue-type": "heap" }, "invalid arg 'x-queue-type' for queue 'q' in vhost '/'"],
    [{ "x-queue-type": "quorum" }, "invalid property 'non-durable' for queue 'q' in vhost '/'"],
  ];
  for (const [args, text] of wrong) {
    const client = await broker.open();
    client.send(queue.declare(1, "q", { args }));
    const reason = await client.refused();
    assert.deepEqual([reason.level, reason.code], ["channel", 406]);
    assert.ok(reason.text.startsWith("PRECONDITION_FAILED - ") && reason.text.includes(text), reason.text);
    client.reset();
  }
  const client = await broker.open();
  const args = { "x-queue-type": "quorum" };
  client.send(queue.declare(1, "q", { args, durable: true, exclusive: true }));
  assert.match((await client.refused()).text, /invalid property 'exclusive-owner' for queue 'q' in vhost '\/'/);
});

test("arguments that matter to clusters only are taken and mean nothing", async () => {
  const client = await broker.open();
  const args = {
    "x-queue-mode": "lazy",
    "x-queue-version": 2,
    "x-queue-master-locator": "min-masters",
    "x-queue-leader-locator": "balanced",
    "x-quorum-initial-group-size": 3,
    "x-dead-letter-strategy": "at-least-once",
  };
  await declare(client, "clustered", args, true);
  publish(client, "clustered", ["x"]);
  assert.deepEqual(await drain(client, "clustered"), ["x"]);
});
