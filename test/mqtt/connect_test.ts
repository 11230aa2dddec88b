// CONNECT and CONNACK: versions, client identifiers, credentials, take-over, keep-alive, and how connections end.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { MqttBroker } from "../support/mqtt_broker.ts";
import { bytesOf, type Version } from "../support/raw_mqtt.ts";

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
    assert.deepEqual([...bytes.subarray(0, 4)], [0x20, bytes.length - 2, 0, expected[3]]);
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
  const first = String(connack.properties?.assignedClientIdentifier);
  assert.ok(first.length > 8);
  const again = await broker.openWith({ clientId: "", version: 5 });
  assert.notEqual(again.connack.properties?.assignedClientIdentifier, first);
});

test("client identifiers of 1 to 23 letters and digits are taken [MQTT-3.1.3-5]", async () => {
  for (const clientId of ["0", "abcdefghijklmnopqrstuvw", "xyzABCDEFGHIJKLMNOPQRST", "UVWXYZ0123456789"]) {
    for (const version of [3, 4, 5] as Version[]) {
      const { connack } = await broker.openWith({ version, clientId });
      assert.equal(connack.reasonCode ?? connack.returnCode, 0, clientId);
      assert.equal(connack.properties?.assignedClientIdentifier, undefined);
    }
  }
});

test("a client identifier that is too long for a queue's name is refused", async () => {
  assert.equal((await broker.openWith({ clientId: "x".repeat(233) })).connack.returnCode, 0);
  for (const [version, code] of [[4, 2], [5, 0x85]] as const) {
    const { client, connack } = await broker.openWith({ clientId: "x".repeat(234), version });
    assert.equal(connack.reasonCode ?? connack.returnCode, code);
    await client.expectEnd();
  }
});

test("CONNACK of MQTT 5 tells the broker's limits, and nothing else [MQTT-3.1.2-28, MQTT-4.12.0-6]", async () => {
  for (const requestResponseInformation of [false, true]) {
    const { connack } = await broker.openWith({ version: 5, properties: { requestResponseInformation } });
    assert.deepEqual({ ...connack.properties }, {
      receiveMaximum: 4096,
      maximumPacketSize: 16 * 1024 * 1024,
      topicAliasMaximum: 256,
    });
  }
});

test("CONNACK keeps to the client's maximum packet size [MQTT-3.1.2-24, MQTT-3.2.2-19]", async () => {
  for (const [maximumPacketSize, isTold] of [[20, false], [1000, true]] as const) {
    const properties = { maximumPacketSize };
    const { client, connack } = await broker.openWith({ version: 5, password: "wrong", properties });
    assert.equal(connack.reasonCode, 0x86);
    assert.equal(connack.properties?.reasonString !== undefined, isTold);
    await client.expectEnd();
  }
  // Where what a client must know does not fit, it gets no session; where nothing fits, no words either.
  for (const [maximumPacketSize, code] of [[15, 0x83], [5, 0x83], [16, 0]] as const) {
    const { connack } = await broker.openWith({ version: 5, properties: { maximumPacketSize } });
    assert.equal(connack.reasonCode, code);
  }
  const client = await broker.connect(5);
  const connect = {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 5,
    clientId: "tiny",
    clean: true,
    keepalive: 0,
  };
  client.send({ ...connect, properties: { maximumPacketSize: 4 } });
  await client.expectEnd();
});

for (const version of [3, 4, 5] as Version[]) {
  test(`protocol level ${version}: what follows a CONNECT that is refused is not looked at [MQTT-3.1.4-6]`, async () => {
    const topic = `refused/${version}`;
    const client = await broker.connect(version);
    const connect = {
      cmd: "connect",
      protocolId: version === 3 ? "MQIsdp" : "MQTT",
      protocolVersion: version,
      clientId: "refused",
      clean: true,
      keepalive: 0,
      username: "guest",
      password: Buffer.from("wrong"),
    };
    const publish = { cmd: "publish", topic, payload: "x", qos: 0, retain: true, dup: false };
    client.sendBytes(bytesOf(connect, version), bytesOf(publish, version));
    const { reasonCode, returnCode } = await client.next("connack");
    assert.equal(reasonCode ?? returnCode, version === 5 ? 0x86 : 4);
    await client.expectEnd();
    const watcher = await broker.open();
    await watcher.subscribe(topic, 0);
    await watcher.expectSilence();
  });
}

test("a CONNECT that is refused finds no session present [MQTT-3.2.2-6]", async () => {
  const options = { clientId: "present-not", clean: false } as const;
  for (const version of [4, 5] as Version[]) {
    const properties = { sessionExpiryInterval: 600 };
    await broker.open({ ...options, version, properties });
    const { connack } = await broker.openWith({ ...options, version, properties, password: "wrong" });
    assert.equal(connack.sessionPresent, false);
    assert.equal((await broker.openWith({ ...options, version, properties })).connack.sessionPresent, true);
  }
});

test("CONNACK comes before all that waits for the client, its reserved bits 0 [MQTT-3.2.0-1, MQTT-3.2.2-1]", async () => {
  const options = { clientId: "first-of-all", clean: false } as const;
  const first = await broker.open(options);
  await first.subscribe("first/#", 1);
  await first.leave();
  await (await broker.open()).store("first/x", "waits");
  const client = await broker.connect();
  const chunks: Buffer[] = [];
  client.socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await client.shakeHands(options);
  await client.next("publish");
  assert.deepEqual([...Buffer.concat(chunks).subarray(0, 4)], [0x20, 2, 1, 0]);
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
