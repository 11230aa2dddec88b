// What management sees of MQTT: connections with protocol and client identifier, sessions as queues, what was counted.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { Broker } from "../../src/mod.ts";
import { type ConnectOptions, RawMqtt } from "../support/raw_mqtt.ts";
import { waitFor } from "../support/wait.ts";

const broker = new Broker({ memory: true, amqp: { port: -1 }, mqtt: { port: 0 }, http: { port: 0 } });
const started = broker.start();
const clients: RawMqtt[] = [];
after(async () => {
  for (const { socket } of clients) socket.destroy();
  await broker.stop();
});

async function open(options: ConnectOptions = {}): Promise<RawMqtt> {
  await started;
  const client = await RawMqtt.connect(broker.listeners[0]!.port, options.version);
  clients.push(client);
  await client.shakeHands(options);
  return client;
}

interface Shown {
  readonly [name: string]: unknown;
}

async function api<T>(path: string, method = "GET"): Promise<T> {
  const { port } = broker.listeners.find(({ protocol }) => protocol === "http")!;
  const response = await fetch(`http://127.0.0.1:${port}/api/${path}`, {
    method,
    headers: { authorization: `Basic ${btoa("guest:guest")}` },
  });
  assert.ok(response.ok, `${path}: ${response.status} ${await response.clone().text()}`);
  return response.status === 204 ? undefined as T : await response.json() as T;
}

test("a connection is shown with its protocol and client identifier, and an operator can end it", async () => {
  const client = await open({ version: 5, clientId: "shown", keepalive: 33 });
  const [shown] = (await api<Shown[]>("connections")).filter(({ protocol }) => protocol === "MQTT 5-0");
  assert.equal(shown?.user, "guest");
  assert.equal(shown?.timeout, 33);
  assert.equal((shown?.client_properties as Shown).client_id, "shown");
  await api(`connections/${encodeURIComponent(String(shown!.name))}`, "DELETE");
  await client.expectEnd(0x98);
  await waitFor("end of the connection", async () => (await api<Shown[]>("connections")).length === 0);
});

test("sessions are queues with their messages and bindings; deleting one ends the connection", async () => {
  const options = { clientId: "queued", clean: false };
  const first = await open(options);
  await first.subscribe("q/1", 1);
  await first.subscribe("q/0", 0);
  await first.leave();
  const publisher = await open();
  for (let index = 0; index < 3; index++) await publisher.store("q/1", "x");
  const name = "mqtt-subscription-queuedqos1";
  const queues = await api<Shown[]>("queues/%2F");
  assert.deepEqual(queues.map((queue) => queue.name).sort(), ["mqtt-subscription-queuedqos0", name]);
  assert.equal((await api<Shown>(`queues/%2F/${name}`)).messages, 3);
  const bindings = await api<Shown[]>(`queues/%2F/${name}/bindings`);
  assert.ok(bindings.some(({ source, routing_key }) => source === "amq.topic" && routing_key === "q.1"));
  const back = await open(options);
  await back.take(3);
  await api(`queues/%2F/${name}`, "DELETE");
  await back.expectEnd();
  await api("overview");
});
