// CONNECT and CONNACK: versions, client identifiers, credentials, take-over, keep-alive, and how connections end.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MqttBroker } from "../support/mqtt_broker.ts";
import type { Version } from "../support/raw_mqtt.ts";

const broker = new MqttBroker();
after(() => broker.stop());

for (const version of [3, 4, 5] as Version[]) {
  test(`protocol level ${version} is accepted, and a ping answered [MQTT-3.12.4-1]`, async () => {
    const { client, connack } = await broker.openWith({ version });
    assert.equal(version === 5 ? connack.reasonCode : connack.returnCode, 0);
    assert.equal(connack.sessionPresent, false);
    await client.expectSilence();
    await client.leave();
  });

  test(`protocol level ${version}: a wrong password is refused`, async () => {
    const { client, connack } = await broker.openWith({ version, password: "wrong" });
    assert.equal(version === 5 ? connack.reasonCode : connack.returnCode, version === 5 ? 0x86 : 4);
    await client.expectEnd();
  });

  test(`protocol level ${version}: a client that connects anew takes over [MQTT-3.1.4-3]`, async () => {
    const first = await broker.open({ version, clientId: `twice-${version}` });
    const second = await broker.open({ version, clientId: `twice-${version}` });
    await first.expectEnd(0x8e);
    await second.expectSilence();
  });
}

test("an unknown protocol level is refused, each in its words [MQTT-3.1.2-2]", async () => {
  for (const [level, expected] of [[6, [0x20, 3, 0, 0x84]], [2, [0x20, 2, 0, 1]]] as const) {
    const client = await broker.connect();
    const received: Buffer[] = [];
    client.socket.removeAllListeners("data");
    client.socket.on("data", (chunk: Buffer) => received.push(chunk));
    client.sendBytes(0x10, 12, 0, 4, Buffer.from("MQTT"), level, 2, 0, 0, 0, 0);
    await client.closed;
    const bytes = Buffer.concat(received);
    assert.equal(bytes[0], 0x20);
    assert.equal(bytes[3], expected[3]);
  }
});

test("a protocol name that is none is refused [MQTT-3.1.2-1]", async () => {
  const client = await broker.connect();
  client.sendBytes(0x10, 12, 0, 4, Buffer.from("HTTP"), 4, 2, 0, 0, 0, 0);
  assert.equal((await client.next("connack")).returnCode, 1);
  await client.expectEnd();
});

test("what is not CONNECT ends the connection without an answer [MQTT-3.1.0-1]", async () => {
  const client = await broker.connect();
  client.send({ cmd: "pingreq" });
  await client.expectEnd();
});

test("a second CONNECT ends the connection [MQTT-3.1.0-2]", async () => {
  for (const version of [4, 5] as Version[]) {
    const client = await broker.open({ version });
    client.send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: version,
      clientId: "x",
      clean: true,
      keepalive: 0,
    });
    await client.expectEnd(0x82);
  }
});

test("without a user name a client is guest, as long as guest has its password", async () => {
  const client = await broker.connect();
  client.send({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clientId: "nobody",
    clean: true,
    keepalive: 0,
  });
  assert.equal((await client.next("connack")).returnCode, 0);
});

test("'vhost:user' chooses the virtual host", async () => {
  const { connack } = await broker.openWith({ username: "/:guest" });
  assert.equal(connack.returnCode, 0);
  const other = await broker.openWith({ username: "nowhere:guest" });
  assert.equal(other.connack.returnCode, 4);
});

test("an empty client identifier: a new one is made, for a clean session only [MQTT-3.1.3-6, MQTT-3.1.3-8]", async () => {
  assert.equal((await broker.openWith({ clientId: "" })).connack.returnCode, 0);
  for (const [name, level, flags] of [["MQTT", 4, 0], ["MQIsdp", 3, 2]] as const) {
    const client = await broker.connect();
    client.sendBytes(0x10, 8 + name.length, 0, name.length, Buffer.from(name), level, flags, 0, 0, 0, 0);
    assert.equal((await client.next("connack")).returnCode, 2);
    await client.expectEnd();
  }
  const { connack } = await broker.openWith({ clientId: "", version: 5 });
  assert.equal(connack.reasonCode, 0);
  assert.ok(String(connack.properties?.assignedClientIdentifier).length > 8);
});

test("a client identifier that is too long for a queue's name is refused", async () => {
  assert.equal((await broker.openWith({ clientId: "x".repeat(233) })).connack.returnCode, 0);
  assert.equal((await broker.openWith({ clientId: "x".repeat(234) })).connack.returnCode, 2);
  assert.equal((await broker.openWith({ clientId: "x".repeat(234), version: 5 })).connack.reasonCode, 0x85);
});

test("CONNACK of MQTT 5 tells the broker's limits", async () => {
  const { connack } = await broker.openWith({ version: 5 });
  const { properties } = connack;
  assert.equal(properties?.receiveMaximum, 4096);
  assert.equal(properties?.maximumPacketSize, 16 * 1024 * 1024);
  assert.equal(properties?.topicAliasMaximum, 256);
  assert.equal(properties?.assignedClientIdentifier, undefined);
});

test("enhanced authentication is refused by its own code [MQTT-4.12.0-1]", async () => {
  const { client, connack } = await broker.openWith({ version: 5, properties: { authenticationMethod: "SCRAM" } });
  assert.equal(connack.reasonCode, 0x8c);
  await client.expectEnd();
});

test("the keep-alive: silence of one and a half times ends the connection [MQTT-3.1.2-22]", async () => {
  const start = performance.now();
  const client = await broker.open({ version: 5, keepalive: 1 });
  await client.expectEnd(0x8d);
  assert.ok(performance.now() - start > 1400, "not before");
});

test("a client that pings in time stays", async () => {
  const client = await broker.open({ keepalive: 1 });
  // Opened later, it is cut off for its silence.
  const silent = await broker.open({ keepalive: 1 });
  const ended = silent.expectEnd().then(() => true);
  while (!await Promise.race([ended, client.expectSilence()]));
  await client.expectSilence();
});

test("the server's own keep-alive is told and holds", async () => {
  const strict = new MqttBroker({ mqtt: { keepAliveMax: 1 } });
  try {
    const { client, connack } = await strict.openWith({ version: 5, keepalive: 60 });
    assert.equal(connack.properties?.serverKeepAlive, 1);
    await client.expectEnd(0x8d);
  } finally {
    await strict.stop();
  }
});
