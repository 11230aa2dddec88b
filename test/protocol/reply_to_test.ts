// Direct reply-to: RPC without a queue for replies.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MemoryBroker } from "../support/memory_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import { propertyList, rawTable, text, withProperties } from "../support/raw_properties.ts";
import { basic, channel, confirm, queue } from "../support/raw_methods.ts";
import { decodeHeader } from "../../src/wire/amqp_properties.ts";
import { waitFor } from "../support/wait.ts";

const broker = new MemoryBroker();
after(() => broker.stop());

const REPLY_TO = "amq.rabbitmq.reply-to";
const REQUEST = withProperties({ replyTo: REPLY_TO, correlationId: "c-1" });

/** What stands in the reply-to of a message. */
function replyToOf(properties: Buffer): string {
  const header = Buffer.concat([Buffer.alloc(8), properties]);
  return decodeHeader(header, 0, header.length).replyTo!;
}

interface Pair {
  requester: RawAmqp;
  responder: RawAmqp;
  /** Where the replies are to go. */
  address: string;
}

/** A requester whose first request the responder has; each with channels 1 and 2. */
async function requested(name: string): Promise<Pair> {
  const responder = await broker.open({ channels: 2 });
  await responder.call("queue.declare-ok", queue.declare(1, name, { exclusive: true }));
  const requester = await broker.open({ channels: 2 });
  await requester.call("basic.consume-ok", basic.consume(1, REPLY_TO, { noAck: true, tag: "replies" }));
  const address = await request(requester, responder, name);
  return { requester, responder, address };
}

async function request(requester: RawAmqp, responder: RawAmqp, name: string, number = 1): Promise<string> {
  requester.send(basic.publish(number, name, "ping", REQUEST));
  await requester.expectSilence(number);
  responder.send(basic.get(1, name, true));
  return replyToOf((await responder.message()).properties);
}

test("a reply goes straight to the channel that asked, as often as it is sent (behaviours 48)", async () => {
  const { requester, responder, address } = await requested("rpc");
  assert.match(address, /^amq\.rabbitmq\.reply-to\.[\w-]{22}$/);
  for (let number = 1; number <= 3; number++) {
    const headers = withProperties({ correlationId: "c-1", headers: rawTable(["x", text("y")]) });
    responder.send(basic.publish(1, address, `pong ${number}`, headers));
    const reply = await requester.message();
    assert.deepEqual(
      [reply.by, reply.channel, reply.consumerTag, reply.deliveryTag, reply.redelivered, reply.exchange],
      ["deliver", 1, "replies", number, false, ""],
    );
    assert.equal(reply.routingKey, address);
    assert.equal(reply.body.toString(), `pong ${number}`);
    assert.deepEqual(reply.properties, propertyList(headers));
  }
});

test("only reply-to changes in a request, and only when it is the name of direct replies", async () => {
  const { requester, responder, address } = await requested("rpc-bytes");
  const headers = rawTable(["x", text("y")]);
  for (const replyTo of [REPLY_TO, "my-queue", `${REPLY_TO}.other`, ""]) {
    const given = { contentType: "a/b", headers, deliveryMode: 2, correlationId: "c", userId: "guest" };
    requester.send(basic.publish(1, "rpc-bytes", "x", withProperties({ ...given, replyTo })));
    await requester.expectSilence(1);
    responder.send(basic.get(1, "rpc-bytes", true));
    const expected = replyTo === REPLY_TO ? address : replyTo;
    assert.deepEqual(
      (await responder.message()).properties,
      propertyList(withProperties({ ...given, replyTo: expected })),
    );
  }
});

test("a reply of many frames arrives whole, and goes with confirms and mandatory", async () => {
  const { requester, responder, address } = await requested("rpc-large");
  await responder.call("confirm.select-ok", confirm.select(1));
  const body = Buffer.alloc(1_000_000, "reply");
  responder.send(basic.publish(1, address, body, { mandatory: true }));
  await responder.reply("basic.ack");
  assert.ok((await requester.message()).body.equals(body));
});

test("each channel has an address of its own", async () => {
  const { requester, responder, address } = await requested("rpc-channels");
  await requester.call("basic.consume-ok", basic.consume(2, REPLY_TO, { noAck: true, tag: "replies" }));
  const other = await request(requester, responder, "rpc-channels", 2);
  assert.notEqual(other, address);
  responder.send(basic.publish(1, other, "to 2"), basic.publish(1, address, "to 1"));
  assert.deepEqual((await requester.messages(2)).map(({ channel }) => channel), [2, 1]);
});

test("direct replies need no_ack, and one consumer of a channel has them (behaviours 48)", async () => {
  const client = await broker.open();
  const refusals: [Buffer, RegExp][] = [
    [basic.consume(1, REPLY_TO), /^PRECONDITION_FAILED - reply consumer cannot acknowledge$/],
    [basic.publish(1, "rpc", "x", REQUEST), /^PRECONDITION_FAILED - fast reply consumer does not exist$/],
    [
      Buffer.concat([1, 2].map(() => basic.consume(1, REPLY_TO, { noAck: true, noWait: true }))),
      /^PRECONDITION_FAILED - reply consumer already set$/,
    ],
  ];
  for (const [bytes, text] of refusals) {
    client.send(bytes);
    const reason = await client.refused();
    assert.deepEqual([reason.level, reason.code], ["channel", 406]);
    assert.match(reason.text, text);
    await client.call("channel.open-ok", channel.open(1));
  }
});

test("a passive declare tells whether somebody waits for a reply (behaviours 48)", async () => {
  const { requester, responder, address } = await requested("rpc-alive");
  for (const name of [address, REPLY_TO]) {
    for (const passive of [true, false]) {
      const args = await responder.call("queue.declare-ok", queue.declare(1, name, { passive }));
      assert.deepEqual([args.shortString(), args.long(), args.long()], [name, 0, 1]);
    }
  }
  await requester.call("basic.cancel-ok", basic.cancel(1, "replies"));
  for (const name of [address, `${REPLY_TO}.guessed`]) {
    responder.send(queue.declare(1, name, { passive: true }));
    const reason = await responder.refused();
    assert.deepEqual([reason.level, reason.code], ["channel", 404]);
    await responder.call("channel.open-ok", channel.open(1));
  }
});

test("a mandatory reply comes back when nobody waits for it any more (behaviours 48)", async () => {
  const ends: [string, (requester: RawAmqp) => Promise<unknown>][] = [
    ["cancel", (requester) => requester.call("basic.cancel-ok", basic.cancel(1, "replies"))],
    ["channel.close", (requester) => requester.call("channel.close-ok", channel.close(1))],
    ["an error of the channel", async (requester) => {
      requester.send(basic.ack(1, 77));
      await requester.refused();
    }],
    ["connection.close", (requester) => requester.close()],
    ["a lost connection", (requester) => Promise.resolve(requester.reset())],
  ];
  for (const [what, end] of ends) {
    const { requester, responder, address } = await requested("rpc-gone");
    await end(requester);
    const send = async (): Promise<boolean> => {
      responder.send(basic.publish(2, address, "too late", { mandatory: true }));
      const probe = await responder.call("channel.flow-ok", channel.flow(2, true)).catch(() => null);
      return probe === null;
    };
    // Of a lost connection the broker may learn later than of the reply.
    await waitFor(`return after ${what}`, async () => await send());
    await responder.close().catch(() => {});
  }
});

test("after a cancel the channel may ask for direct replies again, with a new address", async () => {
  const { requester, responder, address } = await requested("rpc-again");
  await requester.call("basic.cancel-ok", basic.cancel(1, "replies"));
  await requester.call("basic.consume-ok", basic.consume(1, REPLY_TO, { noAck: true }));
  const other = await request(requester, responder, "rpc-again");
  assert.notEqual(other, address);
  responder.send(basic.publish(1, address, "lost"), basic.publish(1, other, "found"));
  assert.equal((await requester.message()).body.toString(), "found");
});

test("a tag in use is a 530, also between direct replies and queues", async () => {
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "rpc-tags", { exclusive: true }));
  await client.call("basic.consume-ok", basic.consume(1, REPLY_TO, { noAck: true, tag: "same" }));
  client.send(basic.consume(1, "rpc-tags", { tag: "same" }));
  assert.equal((await client.refused()).code, 530);
});
