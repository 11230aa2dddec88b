// The broker as a library, as the README shows it: in the process of this test, in whichever runtime that is.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import * as amqplib from "amqplib";
import { Broker, ConfigFault, type PartialConfig, Refusal } from "../../src/mod.ts";
import { temporaryDirectory } from "../support/broker_process.ts";
import { Inbox, within } from "../support/wait.ts";

const options = { timeout: 60_000 };

function uriOf(broker: Broker): string {
  const [listener] = broker.listeners;
  assert.ok(listener !== undefined);
  return `amqp://guest:guest@${listener.host}:${listener.port}`;
}

async function withChannel<T>(broker: Broker, act: (channel: amqplib.ConfirmChannel) => Promise<T>): Promise<T> {
  const connection = await amqplib.connect(uriOf(broker));
  const result = await act(await connection.createConfirmChannel());
  await connection.close();
  return result;
}

async function keep(broker: Broker, ...texts: string[]): Promise<void> {
  await withChannel(broker, async (channel) => {
    await channel.assertQueue("kept");
    for (const text of texts) channel.sendToQueue("kept", Buffer.from(text), { persistent: true });
    await channel.waitForConfirms();
  });
}

async function take(broker: Broker, count: number): Promise<string[]> {
  return await withChannel(broker, async (channel) => {
    const { messageCount } = await channel.assertQueue("kept");
    assert.equal(messageCount, count);
    const inbox = new Inbox<amqplib.ConsumeMessage | null>();
    await channel.consume("kept", (message) => inbox.push(message), { noAck: true });
    return (await inbox.take(count)).map((message) => `${message?.content}`);
  });
}

async function running(config: PartialConfig, act: (broker: Broker) => Promise<void>): Promise<void> {
  const broker = new Broker(config, { onFault: (fault) => assert.fail(fault) });
  await broker.start();
  try {
    await act(broker);
  } finally {
    await broker.stop();
  }
}

test("a broker in memory serves on the port that it found, and stops", options, async () => {
  const broker = new Broker({ memory: true, amqp: { port: 0 } });
  assert.equal(broker.listeners.length, 0);
  await broker.start();
  const [listener] = broker.listeners;
  assert.deepEqual([broker.listeners.length, listener?.protocol, listener?.host], [1, "amqp", "127.0.0.1"]);
  assert.ok(listener!.port > 0);
  await keep(broker, "a", "b");
  assert.deepEqual(await take(broker, 2), ["a", "b"]);
  const uri = uriOf(broker);
  await broker.stop();
  assert.deepEqual(broker.listeners, []);
  await assert.rejects(amqplib.connect(uri), /ECONNREFUSED/);
});

test("two brokers in one process know nothing of each other", options, async () => {
  const dataDir = temporaryDirectory();
  await running({ memory: true, amqp: { port: 0 } }, async (one) => {
    await running({ dataDir, amqp: { port: 0 } }, async (other) => {
      assert.notEqual(one.listeners[0]!.port, other.listeners[0]!.port);
      await keep(one, "one");
      await keep(other, "other");
      assert.deepEqual(await take(one, 1), ["one"]);
    });
    await keep(one, "goes on");
    assert.deepEqual(await take(one, 1), ["goes on"]);
  });
});

test("a broker on disk keeps what it was given for the next one, in memory none does", options, async () => {
  const dataDir = join(temporaryDirectory(), "made");
  await running({ dataDir, amqp: { port: 0 } }, (broker) => keep(broker, "a", "b", "c"));
  assert.ok(readdirSync(dataDir).length > 0);
  await running(
    { dataDir, amqp: { port: 0 } },
    async (broker) => assert.deepEqual(await take(broker, 3), ["a", "b", "c"]),
  );
  await running({ dataDir, amqp: { port: 0 } }, async (broker) => assert.deepEqual(await take(broker, 0), []));
  for (let round = 0; round < 2; round++) {
    await running({ memory: true, amqp: { port: 0 } }, async (broker) => {
      assert.deepEqual(await take(broker, 0), []);
      await keep(broker, "gone");
    });
  }
});

test("the same broker is started again after it was stopped, on disk and in memory", options, async () => {
  for (const config of [{ dataDir: temporaryDirectory() }, { memory: true }]) {
    const broker = new Broker({ ...config, amqp: { port: 0 } });
    await broker.start();
    await keep(broker, "first");
    await broker.stop();
    await broker.start();
    await keep(broker, "second");
    assert.deepEqual(await take(broker, config.memory ? 1 : 2), config.memory ? ["second"] : ["first", "second"]);
    await broker.stop();
    await broker.stop(); // stopped already
  }
});

test("stop ends the clients' connections in good order", options, async () => {
  const broker = new Broker({ memory: true, amqp: { port: 0 } });
  await broker.start();
  const connection = await amqplib.connect(uriOf(broker));
  connection.on("error", () => {});
  const ended = new Promise<{ code?: number } | undefined>((resolve) => connection.on("close", resolve));
  await broker.stop();
  assert.equal((await within("end of the connection", ended))?.code, 320);
});

test("a second start is refused, and a broker that could not start leaves nothing behind", options, async () => {
  const dataDir = temporaryDirectory();
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  try {
    const { port } = taken.address() as { port: number };
    const broker = new Broker({ dataDir, amqp: { port } });
    await assert.rejects(broker.start(), new RegExp(`127\\.0\\.0\\.1:${port}`));
    assert.deepEqual(broker.listeners, []);
  } finally {
    taken.close();
  }
  await running({ dataDir, amqp: { port: 0 } }, async (broker) => {
    await assert.rejects(broker.start(), /started already/);
    await assert.rejects(new Broker({ dataDir, amqp: { port: 0 } }).start(), (error: Error) => {
      assert.ok(error.message.includes(dataDir), error.message);
      return true;
    });
    await keep(broker, "unharmed");
    assert.deepEqual(await take(broker, 1), ["unharmed"]);
  });
});

test("settings are checked when the broker is made, and told by their names", () => {
  const wrong: [unknown, RegExp][] = [
    [{ amqp: { port: 70_000 } }, /port/],
    [{ amqp: { heartbeatSeconds: -1 } }, /heartbeat/],
    [{ dataDir: 5 }, /data_?dir/i],
    [{ memroy: true }, /unknown setting 'memroy'/],
  ];
  for (const [config, text] of wrong) {
    assert.throws(() => new Broker(config as PartialConfig), (error: unknown) => {
      assert.ok(error instanceof ConfigFault, `${error}`);
      assert.match(error.message, text);
      return true;
    });
  }
});

test("a program may tune what clients are offered", options, async () => {
  const amqp = { port: 0, heartbeatSeconds: 5, channelMax: 3, frameBytesMax: 8192, messageBytesMax: 1000 };
  await running({ memory: true, defaultUser: "hare", defaultPassword: "secret", amqp }, async (broker) => {
    await assert.rejects(amqplib.connect(uriOf(broker)), /403/);
    const connection = await amqplib.connect(uriOf(broker).replace("guest:guest", "hare:secret"));
    const tuned = connection.connection as unknown as { heartbeat: number; channelMax: number; frameMax: number };
    assert.deepEqual([tuned.heartbeat, tuned.channelMax, tuned.frameMax], [5, 3, 8192]);
    const channel = await connection.createChannel();
    const refused = new Promise<{ code: number }>((resolve) => channel.on("error", resolve));
    channel.publish("", "", Buffer.alloc(1001));
    assert.equal((await refused).code, 406);
    await connection.close();
  });
});

test("some settings may change while it runs; a bad value changes nothing", options, async () => {
  const config = { dataDir: temporaryDirectory(), amqp: { port: 0 } };
  await running(config, async (broker) => {
    assert.throws(() => broker.reconfigure({ sync: false, freeDiskBytesMin: -1 }), ConfigFault);
    assert.equal(broker.config.sync, true);
    broker.reconfigure({ sync: false });
    await keep(broker, "a");
    broker.reconfigure({ sync: true, freeDiskBytesMin: 2 ** 50 });
    assert.deepEqual(broker.alarms?.raised, ["disk"]);
    broker.reconfigure({ freeDiskBytesMin: 0 });
    assert.deepEqual(broker.alarms?.raised, []);
    await keep(broker, "b");
    assert.deepEqual(await take(broker, 2), ["a", "b"]);
    assert.deepEqual([broker.config.sync, broker.config.freeDiskBytesMin], [true, 0]);
  });
});

test("a program manages its broker: users, virtual hosts, policies; refusals say what is wrong", options, async () => {
  const broker = new Broker({ memory: true, amqp: { port: 0 } });
  assert.throws(() => broker.management, /not running/);
  await running({ memory: true, amqp: { port: 0 } }, async (broker) => {
    const { management } = broker;
    await management.putUser("app", { password: "secret" });
    await management.putVhost("tenant", {}, "app");
    await management.putPolicy("policy", "tenant", "short", { pattern: ".*", definition: { "max-length": 1 } });
    await assert.rejects(management.deleteVhost("nowhere"), (error) => error instanceof Refusal);
    const { host, port } = broker.listeners[0]!;
    const connection = await amqplib.connect(`amqp://app:secret@${host}:${port}/tenant`);
    const channel = await connection.createChannel();
    const { queue } = await channel.assertQueue("");
    for (const text of ["old", "new"]) channel.sendToQueue(queue, Buffer.from(text));
    assert.equal((await channel.checkQueue(queue)).messageCount, 1);
    await connection.close();
  });
});
