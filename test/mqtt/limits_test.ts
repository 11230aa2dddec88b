// What clients can make the broker hold, and what alarms do to them.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Broker } from "../../src/mod.ts";
import { type ConnectOptions, RawMqtt } from "../support/raw_mqtt.ts";
import { waitFor } from "../support/wait.ts";

const faults: Error[] = [];
const broker = new Broker({ memory: true, amqp: { port: -1 }, mqtt: { port: 0 } }, {
  onFault: (fault) => faults.push(fault),
});
const started = broker.start();
const clients: RawMqtt[] = [];
after(async () => {
  for (const { socket } of clients) socket.destroy();
  await broker.stop();
  assert.deepEqual(faults, []);
});

async function open(options: ConnectOptions = {}): Promise<RawMqtt> {
  await started;
  const client = await RawMqtt.connect(broker.listeners[0]!.port, options.version);
  clients.push(client);
  await client.shakeHands(options);
  return client;
}

test("MQTT can be listened on alone", async () => {
  await started;
  assert.deepEqual(broker.listeners.map(({ protocol }) => protocol), ["mqtt"]);
});

test("a client that does not read costs no more than what its socket takes; others get everything", async () => {
  const deaf = await open();
  await deaf.subscribe("flood", 0);
  deaf.socket.pause();
  const other = await open();
  await other.subscribe("flood", 0);
  const publisher = await open();
  const payload = Buffer.alloc(100_000);
  for (let index = 0; index < 600; index++) {
    publisher.publish("flood", payload);
    if (index % 20 === 19) {
      await publisher.expectSilence();
      await other.take(20);
    }
  }
  deaf.send({ cmd: "pingreq" });
  deaf.socket.resume();
  let kept = 0;
  while ((await deaf.take(1))[0]!.cmd === "publish") kept++;
  assert.ok(kept > 0 && kept < 300, `${kept} of 600 messages of 100 kB waited for it`);
});

test("a client that asks without reading the answers is not read either, and goes on when it reads", async () => {
  const client = await open();
  client.socket.pause();
  const pings = Buffer.alloc(200_000, Buffer.of(0xc0, 0));
  let accepted = 0;
  let drained = true;
  while (drained && accepted < 400) {
    drained = client.socket.write(pings);
    accepted++;
    if (!drained) {
      const drain = new Promise<boolean>((resolve) => client.socket.once("drain", () => resolve(true)));
      drained = await Promise.race([drain, new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 1000))]);
    }
  }
  assert.ok(accepted < 400, "the broker has stopped reading");
  client.socket.resume();
  for (let index = 0; index < 1000; index++) await client.next("pingresp");
  client.socket.destroy();
});

test("while an alarm holds, clients that publish are not read; others are served, and it goes on by itself", async () => {
  const publisher = await open({ keepalive: 1 });
  const subscriber = await open();
  await subscriber.subscribe("alarmed", 1);
  await publisher.store("alarmed", "before");
  subscriber.ack("puback", (await subscriber.next("publish")).messageId);
  broker.alarms!.raise("test");
  const id = publisher.publish("alarmed", "held", { qos: 1 });
  publisher.send({ cmd: "pingreq" });
  await subscriber.expectSilence();
  // Longer than its keep-alive, as one shows that is read: whoever is not read cannot be heard.
  const silent = await open({ keepalive: 1 });
  await silent.expectEnd();
  await subscriber.expectSilence();
  broker.alarms!.clear("test");
  const answers = await publisher.take(2);
  assert.deepEqual(answers.map(({ cmd }) => cmd).sort(), ["pingresp", "puback"]);
  assert.equal(answers.find(({ cmd }) => cmd === "puback")?.messageId, id);
  assert.deepEqual(await subscriber.payloads(1), ["held"]);
});

test("who guesses passwords waits longer each time, and is not kept from the right one", async () => {
  await started;
  const guess = async (password: string): Promise<number | undefined> => {
    const client = await RawMqtt.connect(broker.listeners[0]!.port);
    clients.push(client);
    const { returnCode } = await client.shakeHands({ username: "guessed", password });
    return returnCode;
  };
  await broker.management.putUser("guessed", { password: "right" });
  await broker.management.putPermission({ user: "guessed", vhost: "/", configure: "", write: "", read: "" });
  for (let index = 0; index < 6; index++) assert.equal(await guess("wrong"), 4);
  const start = performance.now();
  assert.equal(await guess("right"), 0);
  assert.ok(performance.now() - start >= 90, "it had to wait");
});

test("connections that end give back all they held", async () => {
  for (let round = 0; round < 200; round++) {
    const client = await open({ clientId: `round-${round}` });
    await client.subscribe(["a/+", "b/#", "$SYS/#"], 1);
    client.publish("a/x", "x", { qos: 2 });
    await client.drop();
  }
  const last = await open({ version: 5 });
  await waitFor("end of the others", async () => {
    last.publish("a/x", "x", { qos: 1 });
    return (await last.next("puback")).reasonCode === 0x10;
  });
});
