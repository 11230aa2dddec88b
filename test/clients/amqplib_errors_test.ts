// How refusals reach a program with amqplib: the right code, on the channel or on the connection, and how a connection
// is opened and kept.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import * as amqplib from "amqplib";
import { BrokerProcess, SharedBroker, testTargets } from "../support/broker_process.ts";
import { Inbox, within } from "../support/wait.ts";
import { AmqplibClient, connectionClosing, consume, temporaryQueue } from "./amqplib_client.ts";

const TEST_TIMEOUT_MS = 60_000;
const NOTHING = Buffer.alloc(0);
const MESSAGE_BYTES_MAX = 16 * 1024 * 1024;
const CHANNELS_MAX = 2047;
/** amqplib's own limit for a heartbeat is seconds; one is the shortest. */
const HEARTBEAT_FRAME = Buffer.from([8, 0, 0, 0, 0, 0, 0, 0xCE]);

type Act = (channel: amqplib.Channel) => unknown;

/** What ends the channel, and what it is told. */
const CHANNEL_REFUSALS: [number, RegExp, string, Act][] = [
  [404, /NOT_FOUND - no queue 'none' in vhost '\/'/, "a passive declare of no queue", (c) => c.checkQueue("none")],
  [404, /no exchange 'none' in vhost '\/'/, "a passive declare of no exchange", (c) => c.checkExchange("none")],
  [404, /no exchange 'none'/, "a publish to no exchange", (c) => c.publish("none", "", NOTHING)],
  [404, /no queue 'none'/, "a consumer of no queue", (c) => c.consume("none", () => {})],
  [404, /no queue 'none'/, "a get from no queue", (c) => c.get("none")],
  [404, /no queue 'none'/, "a purge of no queue", (c) => c.purgeQueue("none")],
  [404, /no queue 'none'/, "a binding of no queue", (c) => c.bindQueue("none", "amq.direct", "")],
  [
    404,
    /no exchange 'none'/,
    "a binding to no exchange",
    async (c) => c.bindQueue(await temporaryQueue(c), "none", ""),
  ],
  [404, /no previously declared queue/, "an empty name that stands for no queue", (c) => c.checkQueue("")],
  [
    403,
    /default exchange/,
    "a binding to the default exchange",
    async (c) => c.bindQueue(await temporaryQueue(c), "", ""),
  ],
  [
    403,
    /default exchange/,
    "an unbinding from the default exchange",
    async (c) => c.unbindQueue(await temporaryQueue(c), "", ""),
  ],
  [403, /default exchange/, "a deletion of the default exchange", (c) => c.deleteExchange("")],
  [403, /amq\.direct/, "the deletion of a predeclared exchange", (c) => c.deleteExchange("amq.direct")],
  [403, /reserved prefix 'amq\.\*'/, "a queue name of the broker's", (c) => c.assertQueue("amq.own")],
  [403, /reserved prefix 'amq\.\*'/, "an exchange name of the broker's", (c) => c.assertExchange("amq.own", "direct")],
  [406, /PRECONDITION_FAILED - unknown delivery tag 42/, "an unknown delivery tag", (c) => c.ack(tagged(42))],
  [406, /unknown delivery tag 42/, "an unknown delivery tag of several", (c) => c.ack(tagged(42), true)],
  [406, /unknown delivery tag 42/, "a rejected unknown delivery tag", (c) => c.reject(tagged(42))],
  [406, /unknown delivery tag 1/, "a second ack", async (c) => {
    c.sendToQueue(await temporaryQueue(c), NOTHING);
    await c.get("");
    c.ack(tagged(1));
    c.ack(tagged(1));
  }],
  [406, /unknown delivery tag 1/, "an ack of what needs none", async (c) => {
    c.sendToQueue(await temporaryQueue(c), NOTHING);
    await c.get("", { noAck: true });
    c.ack(tagged(1));
  }],
  [
    406,
    /fast reply consumer does not exist/,
    "a request without a consumer of direct replies",
    (c) => c.publish("", "", NOTHING, { replyTo: "amq.rabbitmq.reply-to" }),
  ],
  [
    406,
    /reply consumer cannot acknowledge/,
    "a consumer of direct replies that acknowledges",
    (c) => c.consume("amq.rabbitmq.reply-to", () => {}),
  ],
  [
    406,
    /invalid arg 'x-priority' for queue/,
    "a priority that is none",
    async (c) => c.consume(await temporaryQueue(c), () => {}, { arguments: { "x-priority": "high" } }),
  ],
  [406, /unknown exchange type 'x-odd'/, "an unknown exchange type", (c) => c.assertExchange("odd", "x-odd")],
  [406, /x-queue-type/, "an unknown queue type", (c) => c.assertQueue("odd", { arguments: { "x-queue-type": "odd" } })],
  [406, /invalid expiration 'soon'/, "an odd expiration", (c) => c.publish("", "", NOTHING, { expiration: "soon" })],
  [406, /user_id property set to 'other'/, "a foreign user id", (c) => c.publish("", "", NOTHING, { userId: "other" })],
  [
    406,
    /message size 16777217 is larger than configured max size 16777216/,
    "a message that is too large",
    (c) => c.publish("", "", Buffer.alloc(MESSAGE_BYTES_MAX + 1)),
  ],
];

async function stream(channel: Parameters<Act>[0]): Promise<string> {
  const { queue } = await channel.assertQueue("stream", { arguments: { "x-queue-type": "stream" } });
  return queue;
}

/** What a stream cannot do ends the connection with 540, never with silence. */
const NOT_IMPLEMENTED: [string, RegExp, Act][] = [
  ["a get from a stream", /basic.get not supported by stream queues/, async (c) => c.get(await stream(c))],
  ["a purge of a stream", /queue.purge not supported by stream queues/, async (c) => c.purgeQueue(await stream(c))],
];

for (const target of testTargets()) {
  describe(`refusals to amqplib by ${target}`, () => {
    const shared = new SharedBroker(target);
    after(() => shared.dispose());
    const test = (name: string, act: (broker: BrokerProcess) => Promise<void>) =>
      it(name, { timeout: TEST_TIMEOUT_MS }, async () => act(await shared.get()));

    for (const [code, text, what, act] of CHANNEL_REFUSALS) {
      test(`${what} closes the channel with ${code}`, async ({ uri }) => {
        await using client = await AmqplibClient.connect(uri);
        const closing = await client.channelClosing(act);
        assert.equal(closing.code, code);
        assert.match(closing.message, text);
      });
    }

    test("what a stream cannot do closes the connection with 540, and no other", async ({ uri }) => {
      await using bystander = await AmqplibClient.connect(uri);
      for (const [what, text, act] of NOT_IMPLEMENTED) {
        const closing = await within(`refusal of ${what}`, connectionClosing(uri, act), 10_000);
        assert.equal(closing.code, 540, what);
        assert.match(closing.message, text);
      }
      await temporaryQueue(await bystander.channel());
    });

    test("a consumer tag in use closes the connection with 530", async ({ uri }) => {
      const { code, message } = await connectionClosing(uri, async (channel) => {
        const queue = await temporaryQueue(channel);
        await consume(channel, queue, { consumerTag: "same" });
        await consume(channel, queue, { consumerTag: "same" });
      });
      assert.equal(code, 530);
      assert.match(message, /attempt to reuse consumer tag 'same'/);
    });

    test("a confirm that waits is refused when its channel is closed", async ({ uri }) => {
      await using client = await AmqplibClient.connect(uri);
      const channel = await client.model.createConfirmChannel();
      const closed = new Promise((resolve) => channel.on("error", resolve));
      channel.publish("none", "", NOTHING);
      await assert.rejects(channel.waitForConfirms());
      await within("channel.close", closed);
    });

    for (
      const [what, login] of [
        ["a wrong password", "guest:wrong"],
        ["an empty password", "guest:"],
        ["an unknown user", "nobody:guest"],
      ] as const
    ) {
      test(`${what} is refused with 403`, async ({ port }) => {
        await assert.rejects(
          amqplib.connect(`amqp://${login}@127.0.0.1:${port}`),
          (error: Error & { code?: number }) => {
            assert.match(error.message, /403 .*ACCESS.REFUSED.*Login was refused using authentication mechanism PLAIN/);
            return true;
          },
        );
      });
    }

    test("AMQPLAIN lets in who has the password, EXTERNAL nobody", async ({ uri }) => {
      const connection = await amqplib.connect(uri, { credentials: amqplib.credentials.amqplain("guest", "guest") });
      await connection.close();
      const wrong = amqplib.credentials.amqplain("guest", "wrong");
      await assert.rejects(amqplib.connect(uri, { credentials: wrong }), /ACCESS_REFUSED|403/);
      await assert.rejects(amqplib.connect(uri, { credentials: amqplib.credentials.external() }), /mechanism/i);
    });

    test("an unknown virtual host is refused", async ({ uri }) => {
      await assert.rejects(amqplib.connect(`${uri}/none`), /ConnectionClose/); // amqplib keeps the code to itself
      await using client = await AmqplibClient.connect(`${uri}/%2F`);
      await client.channel();
    });

    test("the broker names itself and what it can", async ({ uri }) => {
      await using client = await AmqplibClient.connect(uri);
      const properties = client.model.connection.serverProperties as unknown as Record<string, unknown>;
      assert.match(`${properties["product"]}`, /leveret/i);
      assert.match(`${properties["version"]}`, /^\d+\.\d+\.\d+/);
      const capabilities = properties["capabilities"] as Record<string, boolean>;
      for (const name of ["publisher_confirms", "basic.nack", "consumer_cancel_notify", "per_consumer_qos"]) {
        assert.equal(capabilities[name], true, name);
      }
    });

    test("a connection opens as many channels as were negotiated", async ({ uri }) => {
      await using client = await AmqplibClient.connect(uri);
      assert.equal(negotiated(client).channelMax, CHANNELS_MAX);
      const channels = await Promise.all(Array.from({ length: CHANNELS_MAX }, () => client.model.createChannel()));
      await assert.rejects(client.model.createChannel(), /No channels left/);
      await channels[1000]!.close();
      await temporaryQueue(await client.channel());
      await using few = await AmqplibClient.connect(`${uri}?channelMax=2`);
      assert.equal(negotiated(few).channelMax, 2);
      await Promise.all([few.channel(), few.channel()]);
    });

    test("heartbeats are kept as negotiated, and a silent client is cut off", async ({ uri }) => {
      await using client = await AmqplibClient.connect(`${uri}?heartbeat=1`);
      assert.equal(negotiated(client).heartbeat, 1);
      const heard = new Inbox<true>();
      negotiated(client).stream.on("data", (chunk) => {
        if (chunk.includes(HEARTBEAT_FRAME)) heard.push(true);
      });
      const silent = await amqplib.connect(`${uri}?heartbeat=1`);
      silent.on("error", () => {});
      const cut = new Promise((resolve) => silent.on("close", resolve));
      negotiated(silent).heartbeater.clear();
      await Promise.all([heard.take(4, "heartbeat"), within("end of the silent client", cut)]);
      await temporaryQueue(await client.channel());
    });
  });
}

interface Negotiated {
  channelMax: number;
  heartbeat: number;
  heartbeater: { clear(): void };
  stream: { on(event: "data", listener: (chunk: Buffer) => void): void };
}

/** What amqplib keeps to itself of its connection. */
function negotiated(client: AmqplibClient | amqplib.ChannelModel): Negotiated {
  const model = client instanceof AmqplibClient ? client.model : client;
  return model.connection as unknown as Negotiated;
}

function tagged(deliveryTag: number): amqplib.Message {
  return { fields: { deliveryTag } } as amqplib.Message;
}
