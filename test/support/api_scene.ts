// Something of everything that the HTTP API shows, on a broker of whatever maker: what is declared, clients that are
// connected, messages that have passed. Two brokers with the same scene can be held against one another.

import assert from "node:assert/strict";
import { ask } from "./http_api.ts";
import { RawAmqp } from "./raw_amqp.ts";
import { basic, channel, confirm, queue, tx } from "./raw_methods.ts";
import { waitFor } from "./wait.ts";

export interface Scene {
  /** The node's name. */
  readonly node: string;
  /** The name of a connection with channels 1 and 2, and consumers. */
  readonly connection: string;
  close(): void;
}

type Entry = readonly [method: string, path: string, status: number, body: object];

const DECLARED: readonly Entry[] = [
  ["PUT", "vhosts/shape", 201, { description: "d", tags: "t" }],
  ["PUT", "users/shape", 201, { password: "p", tags: "monitoring" }],
  ["PUT", "users/none", 201, { password: "p", tags: "" }],
  ["PUT", "users/manager", 201, { password: "p", tags: "management" }],
  ["PUT", "permissions/shape/shape", 201, { configure: ".*", write: ".*", read: ".*" }],
  ["PUT", "permissions/%2f/manager", 201, { configure: "^own", write: "^own", read: "^own" }],
  ["PUT", "topic-permissions/%2f/guest", 201, { exchange: "amq.topic", write: ".*", read: ".*" }],
  ["PUT", "global-parameters/shape", 201, { value: { a: 1 } }],
  ["PUT", "vhost-limits/shape/max-queues", 204, { value: 10 }],
  ["PUT", "user-limits/shape/max-connections", 204, { value: 10 }],
  ["PUT", "policies/%2f/shape", 201, { pattern: "^shape", definition: { "message-ttl": 600_000 } }],
  ["PUT", "operator-policies/%2f/shapeop", 201, {
    pattern: "^shape.top",
    definition: { "max-length": 10 },
    "apply-to": "queues",
  }],
  ["PUT", "exchanges/%2f/shape.x", 201, { type: "topic", durable: true }],
  ["PUT", "exchanges/%2f/shape.y", 201, { type: "headers", arguments: { "alternate-exchange": "amq.fanout" } }],
  ["PUT", "queues/%2f/shape.q", 201, {
    durable: true,
    arguments: { "x-max-length": 100, "x-consumer-timeout": 600_000, "x-queue-type": "classic" },
  }],
  ["PUT", "queues/%2f/shape.q2", 201, { durable: true }],
  ["PUT", "queues/%2f/shape.top", 201, { auto_delete: true, arguments: { "x-max-priority": 5 } }],
  ["PUT", "queues/%2f/shape.single", 201, { durable: true, arguments: { "x-single-active-consumer": true } }],
  ["PUT", "queues/%2f/shape.quorum", 201, { durable: true, arguments: { "x-queue-type": "quorum" } }],
  ["PUT", "queues/%2f/shape.stream", 201, { durable: true, arguments: { "x-queue-type": "stream" } }],
  ["POST", "bindings/%2f/e/shape.x/q/shape.q", 201, { routing_key: "a.#" }],
  ["POST", "bindings/%2f/e/shape.y/q/shape.q2", 201, { routing_key: "", arguments: { "x-match": "all", n: 1 } }],
  ["POST", "bindings/%2f/e/shape.x/e/shape.y", 201, { routing_key: "to.y" }],
];

export async function setScene(port: number, httpPort: number): Promise<Scene> {
  for (const [method, path, status, body] of DECLARED) {
    const answer = await ask(httpPort, method, path, { body });
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
  }
  const client = await RawAmqp.open(port, {
    channels: 2,
    properties: { connection_name: "scene", product: "test", capabilities: { "consumer_cancel_notify": true } },
  });
  const second = await RawAmqp.open(port, { channels: 1 });
  await pass(client);
  await client.call("queue.declare-ok", queue.declare(1, "shape.taken", { exclusive: true }));
  await second.call("tx.select-ok", tx.select(1));
  await second.call("basic.consume-ok", basic.consume(1, "shape.single", { tag: "waiting" }));
  const get = async (path: string) => (await ask(httpPort, "GET", path)).json;
  await waitFor("statistics", async () => {
    const { message_stats: of, consumer_details, messages } = await get("queues/%2f/shape.q");
    const stream = await get("queues/%2f/shape.stream");
    return of?.ack > 0 && of?.redeliver > 0 && consumer_details.length > 0 && messages !== undefined &&
      stream.messages > 0;
  });
  await get("aliveness-test/%2f");
  const connections = await waitFor("connections", async () => {
    const all = await get("connections") as { name: string; channels: number; client_properties?: object }[];
    return all.length >= 2 && all.every(({ client_properties }) => client_properties !== undefined) && all;
  });
  const { name } = connections.find(({ channels }) => channels === 2)!;
  const close = () => {
    client.socket.destroy();
    second.socket.destroy();
  };
  return { node: (await get("overview")).node, connection: name, close };
}

/** A message for each number that is counted. */
async function pass(client: RawAmqp): Promise<void> {
  await client.call("confirm.select-ok", confirm.select(1));
  const publish = async (key: string, options: { exchange?: string; mandatory?: boolean } = {}) => {
    client.send(basic.publish(1, key, "x", options));
    await client.reply("basic.ack");
  };
  await publish("a.b", { exchange: "shape.x" });
  await publish("nowhere", { exchange: "shape.x" });
  client.send(basic.publish(1, "nowhere", "x", { exchange: "shape.x", mandatory: true }));
  await client.message();
  await client.reply("basic.ack");
  await client.call("basic.qos-ok", basic.qos(1, 2));
  await client.call("basic.consume-ok", basic.consume(1, "shape.q", { tag: "ctag", args: { "x-priority": 1 } }));
  client.send(basic.reject(1, (await client.message()).deliveryTag, true));
  client.send(basic.ack(1, (await client.message()).deliveryTag));
  for (const name of ["shape.q2", "shape.q2", "shape.top", "shape.quorum", "shape.stream"]) await publish(name);
  client.send(basic.get(2, "shape.q2", true));
  await client.message();
  client.send(basic.get(2, "shape.q2"));
  client.send(basic.ack(2, (await client.message()).deliveryTag));
  await client.call("basic.get-empty", basic.get(2, "shape.q2"));
  await client.call("basic.consume-ok", basic.consume(2, "shape.single", { tag: "active", noAck: true }));
  client.send(basic.publish(2, "shape.single", "x"));
  await client.message();
  await client.call("channel.flow-ok", channel.flow(2, true));
}
