// Many small things: what one client may ask for by the ten thousand costs no more than each of them is worth. Counted
// in steps, not in time: a slow machine proves nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { AmqpConnection } from "../../src/amqp/connection.ts";
import { DIRECT_REPLY_PENDING_BYTES_MAX, QUEUE_CONSUMERS_MAX, REPLIES_WAITING_MAX } from "../../src/limits.ts";
import { MemoryHost } from "../fuzz/amqp/memory_host.ts";
import { hear } from "../fuzz/amqp/replies.ts";
import type { Wire } from "../fuzz/stepped_conn.ts";
import { joined } from "../fuzz/mutate.ts";
import { PROTOCOL_HEADER } from "../support/raw_bytes.ts";
import { withProperties } from "../support/raw_properties.ts";
import { basic, channel, connection, queue } from "../support/raw_methods.ts";

async function opened(host: MemoryHost, channelMax = 16): Promise<Wire<AmqpConnection>> {
  const wire = host.connect();
  wire.send(PROTOCOL_HEADER, connection.startOk());
  wire.send(connection.tuneOk({ channelMax, frameMax: 16_384 }), connection.open());
  wire.send(channel.open(1), channel.open(2));
  await host.settle();
  wire.received.length = 0;
  return wire;
}

function said(wire: Wire<AmqpConnection>): string[] {
  return hear(joined(...wire.received.splice(0)), 16_384).methods.map(({ name }) => name);
}

/** The same thing again and again, in pieces as a socket gives them. */
async function sendMany(host: MemoryHost, wire: Wire<AmqpConnection>, frames: readonly Uint8Array[]): Promise<void> {
  for (let at = 0; at < frames.length; at += 2000) wire.send(joined(...frames.slice(at, at + 2000)));
  await host.settle();
}

const times = (count: number, make: (index: number) => Uint8Array): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => make(index));

test("what frees a channel's consumers wakes each of them once a turn, however often it is said", async () => {
  const host = new MemoryHost();
  const wire = await opened(host);
  wire.send(queue.declare(1, "q"));
  await sendMany(host, wire, times(1000, (index) => basic.consume(1, "q", { tag: `${index}`, noWait: true })));
  const target = host.vhost.queues.get("q")!;
  let wakes = 0;
  target.wake = () => void wakes++;
  wire.send(joined(...times(1000, (index) => index % 2 === 0 ? basic.qos(1, 5) : channel.flow(1, index % 4 === 1))));
  await host.settle();
  assert.equal(said(wire).filter((name) => name === "channel.flow-ok").length, 500);
  assert.ok(wakes > 0 && wakes <= 4000, `1000 consumers were woken ${wakes} times`);
  await host.close();
});

test("a channel's flow counts as it was said last, also for consumers that come and go meanwhile", async () => {
  const host = new MemoryHost();
  const wire = await opened(host);
  const [off, on] = [channel.flow(1, false), channel.flow(1, true)];
  const consume = (tag: string) => basic.consume(1, "q", { tag, noAck: true, noWait: true });
  const arrives = async (what: string, ...before: Uint8Array[]): Promise<boolean> => {
    wire.send(joined(...before));
    await host.settle();
    said(wire);
    wire.send(basic.publish(2, "q", what));
    await host.settle();
    const names = said(wire);
    wire.send(queue.purge(2, "q"));
    await host.settle();
    said(wire);
    return names.includes("basic.deliver");
  };
  assert.ok(!await arrives("without consumers", queue.declare(1, "q"), off));
  assert.ok(await arrives("on again before there is one", on, consume("a")));
  assert.ok(!await arrives("off", off));
  assert.ok(!await arrives("off, on, off in one piece", on, off));
  assert.ok(!await arrives("a consumer that comes in between", on, consume("b"), off));
  assert.ok(await arrives("on", on));
  assert.ok(await arrives("off, on in one piece", off, on));
  assert.ok(
    !await arrives("off without any, and one that comes", off, basic.cancel(1, "a"), basic.cancel(1, "b"), on, off),
  );
  assert.ok(!await arrives("off, and one that comes", consume("c")));
  assert.ok(await arrives("on for it", on));
  await host.close();
});

test("a queue has so many consumers and no more", async () => {
  const host = new MemoryHost();
  const wire = await opened(host);
  wire.send(queue.declare(1, "q"));
  const consume = (number: number) => basic.consume(number, "q", { noWait: true });
  await sendMany(host, wire, times(QUEUE_CONSUMERS_MAX, () => consume(1)));
  said(wire);
  wire.send(consume(2));
  await host.settle();
  assert.deepEqual(said(wire), ["channel.close"]);
  assert.equal(host.vhost.queues.get("q")!.consumers.length, QUEUE_CONSUMERS_MAX);
  wire.send(channel.close(1));
  await host.settle();
  assert.deepEqual(said(wire), ["channel.close-ok"]);
  assert.equal(host.vhost.queues.get("q")!.consumers.length, 0);
  await host.close();
});

test("who asks faster than the disk answers is not read meanwhile, and gets every answer in order", async () => {
  const host = new MemoryHost();
  const wire = await opened(host);
  host.holdSyncs = true;
  const asked = 4 * REPLIES_WAITING_MAX;
  wire.send(queue.declare(1, "q", { durable: true }));
  await sendMany(host, wire, times(asked, () => basic.qos(1, 1)));
  assert.ok(wire.isPaused, "while the sync runs it is not read");
  assert.ok(wire.unread > 2, `${wire.unread} pieces were not read`);
  assert.deepEqual(said(wire), []);
  host.holdSyncs = false;
  await host.settle();
  assert.ok(!wire.isPaused);
  const answers = said(wire);
  assert.equal(answers.length, asked + 1);
  assert.equal(answers.shift(), "queue.declare-ok");
  assert.ok(answers.every((name) => name === "basic.qos-ok"));
  wire.send(connection.close());
  await host.settle();
  assert.deepEqual(said(wire), ["connection.close-ok"]);
  await host.close();
});

test("a connection that is not read because of its replies can still be ended by an error of its own", async () => {
  const host = new MemoryHost();
  const wire = await opened(host);
  host.holdSyncs = true;
  wire.send(queue.declare(1, "q", { durable: true }));
  await sendMany(host, wire, [...times(REPLIES_WAITING_MAX, () => basic.qos(1, 1)), basic.qos(1, 1, { size: 1 })]);
  assert.deepEqual(said(wire), ["connection.close"]);
  wire.send(connection.closeOk());
  await host.settle();
  assert.ok(wire.ended);
  await host.close();
});

test("direct replies that wait behind a sync are bounded", async () => {
  const host = new MemoryHost();
  const [asker, replier] = [await opened(host), await opened(host)];
  asker.send(basic.consume(1, "amq.rabbitmq.reply-to", { noAck: true }), queue.declare(1, "q"));
  asker.send(basic.publish(1, "q", "x", withProperties({ replyTo: "amq.rabbitmq.reply-to" })));
  await host.settle();
  replier.send(basic.get(1, "q", true));
  await host.settle();
  const address =
    /amq\.rabbitmq\.reply-to\.[\w-]+/.exec(Buffer.from(joined(...replier.received)).toString("latin1"))![0];
  said(asker);
  said(replier);
  host.holdSyncs = true;
  asker.send(queue.declare(1, "durable", { durable: true }));
  await host.settle();
  const body = Buffer.alloc(60_000);
  for (let index = 0; index < 350; index++) replier.send(basic.publish(1, address, body, { frameMax: 16_384 }));
  await host.settle();
  assert.deepEqual(said(asker), []);
  host.holdSyncs = false;
  await host.settle();
  const kept = said(asker).filter((name) => name === "basic.deliver").length;
  const most = Math.ceil(DIRECT_REPLY_PENDING_BYTES_MAX / body.length) + 1;
  assert.ok(kept > 0 && kept <= most, `${kept} replies of 60,000 bytes were kept`);
  await host.close();
});

test("buffers that channels keep for their next message are no unfinished messages", async () => {
  const host = new MemoryHost({ channelMax: 2047 });
  const wire = await opened(host, 2047);
  wire.send(queue.declare(1, "q", { args: { "x-max-length": 1 } }));
  // In several frames, as large as a buffer that is kept: together more than a connection may have unfinished.
  const frames = times(1100, (index) => {
    return joined(
      ...index < 2 ? [] : [channel.open(1 + index)],
      basic.publish(1 + index, "q", Buffer.alloc(64 * 1024), { frameMax: 16_384 }),
    );
  });
  for (const frame of frames) wire.send(frame);
  await host.settle();
  assert.deepEqual(new Set(said(wire)), new Set(["queue.declare-ok", "channel.open-ok"]));
  await host.close();
});
