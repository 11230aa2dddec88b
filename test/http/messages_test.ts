// Messages over HTTP: published, got, put back, with RabbitMQ's fields.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { HttpApi } from "../support/http_api.ts";
import { basic } from "../support/raw_methods.ts";

const api = new HttpApi();
after(() => api.stop());

let queues = 0;
async function queue(args: object = {}): Promise<string> {
  const name = `messages-${++queues}`;
  await api.expect(201, "PUT", `queues/%2f/${name}`, { arguments: args });
  return name;
}

async function publish(name: string, payload: string, more: object = {}): Promise<boolean> {
  const body = { properties: {}, routing_key: name, payload, payload_encoding: "string", ...more };
  return (await api.expect(200, "POST", "exchanges/%2f/amq.default/publish", body)).json.routed;
}

// deno-lint-ignore no-explicit-any
async function get(name: string, more: object = {}): Promise<any[]> {
  const body = { count: 10, ackmode: "ack_requeue_false", encoding: "auto", ...more };
  return (await api.expect(200, "POST", `queues/%2f/${name}/get`, body)).json;
}

test("what is published comes out with all its properties", async () => {
  const name = await queue();
  const properties = {
    content_type: "text/plain",
    content_encoding: "utf-8",
    headers: { text: "t", number: 5, nested: { list: [1, "two", true, null] } },
    delivery_mode: 2,
    priority: 3,
    correlation_id: "c",
    reply_to: "r",
    expiration: "60000",
    message_id: "m",
    timestamp: 1_700_000_000,
    type: "ty",
    user_id: "guest",
    app_id: "a",
    cluster_id: "cl",
  };
  assert.equal(await publish(name, "hällo", { properties }), true);
  const [message, ...others] = await get(name);
  assert.equal(others.length, 0);
  assert.deepEqual(message.properties, properties);
  const { payload, payload_bytes, payload_encoding, routing_key, exchange, redelivered, message_count } = message;
  assert.deepEqual({ payload, payload_bytes, payload_encoding, routing_key, exchange, redelivered, message_count }, {
    payload: "hällo",
    payload_bytes: 6,
    payload_encoding: "string",
    routing_key: name,
    exchange: "",
    redelivered: false,
    message_count: 0,
  });
});

test("an AMQP consumer gets the same bytes", async () => {
  const name = await queue();
  const client = await api.amqp();
  await client.call("basic.consume-ok", basic.consume(1, name));
  await publish(name, Buffer.from([0, 255, 128]).toString("base64"), { payload_encoding: "base64" });
  assert.deepEqual([...(await client.message()).body], [0, 255, 128]);
});

test("what matches no queue is not routed", async () => {
  assert.equal(await publish("nowhere", "x"), false);
});

test("bytes that are no text come as base64, and text too if that is asked for; what is long can be cut", async () => {
  const name = await queue();
  await publish(name, "/w==", { payload_encoding: "base64" });
  await publish(name, "text");
  await publish(name, "ä".repeat(10));
  const [bytes, text] = await get(name, { count: 2, encoding: "auto" });
  assert.deepEqual([bytes.payload, bytes.payload_encoding], ["/w==", "base64"]);
  assert.deepEqual([text.payload, text.payload_encoding], ["text", "string"]);
  const [cut] = await get(name, { count: 1, truncate: 3 });
  assert.deepEqual([cut.payload, cut.payload_bytes, cut.payload_encoding], ["ä", 20, "string"]);
});

test("ackmode says what becomes of what was got", async () => {
  const dead = await queue();
  const name = await queue({ "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead });
  for (const payload of ["1", "2"]) await publish(name, payload);
  const seen = async (ackmode: string, count = 10) => {
    return (await get(name, { ackmode, count })).map(({ payload, redelivered }) =>
      `${payload}${redelivered ? "r" : ""}`
    );
  };
  assert.deepEqual(await seen("ack_requeue_true"), ["1", "2"]);
  assert.deepEqual(await seen("reject_requeue_true", 1), ["1r"]);
  assert.deepEqual(await seen("reject_requeue_false", 1), ["1r"]);
  assert.deepEqual(await seen("ack_requeue_false"), ["2r"]);
  assert.deepEqual(await seen("ack_requeue_false"), []);
  assert.deepEqual((await get(dead)).map(({ payload }) => payload), ["1"]);
});

test("CC and BCC are routing keys, too, and BCC is not told", async () => {
  const [one, two, three] = [await queue(), await queue(), await queue()];
  assert.equal(await publish(one, "x", { properties: { headers: { CC: [two], BCC: [three] } } }), true);
  for (const name of [one, two, three]) assert.deepEqual((await get(name))[0].properties.headers, { CC: [two] });
});

test("a request that makes no sense is refused and changes nothing", async () => {
  const name = await queue();
  const publication = { properties: {}, routing_key: name, payload: "x", payload_encoding: "string" };
  const missing = await api.expect(400, "POST", "exchanges/%2f/amq.topic/publish", { routing_key: "a" });
  assert.equal(
    missing.json.reason,
    "[{key_missing,properties},\n {key_missing,payload},\n {key_missing,payload_encoding}]",
  );
  for (
    const bad of [
      { payload_encoding: "hex" },
      { payload_encoding: "base64", payload: "*" },
      { properties: { delivery_mode: "many" } },
      { properties: { expiration: "soon" } },
      { properties: { user_id: "somebody" } },
      { properties: { headers: { CC: "no list" } } },
      { properties: { timestamp: -1 } },
      { properties: { priority: 256 } },
      { routing_key: "x".repeat(256) },
      { payload: 5 },
    ]
  ) {
    await api.expect(400, "POST", "exchanges/%2f/amq.default/publish", { ...publication, ...bad });
  }
  const lacking = await api.expect(400, "POST", `queues/%2f/${name}/get`, { count: 1 });
  assert.equal(lacking.json.reason, "[{key_missing,ackmode},{key_missing,encoding}]");
  await api.expect(400, "POST", `queues/%2f/${name}/get`, { count: -1, ackmode: "ack_requeue_true", encoding: "auto" });
  await api.expect(404, "POST", "queues/%2f/nope/get", { count: 1, ackmode: "ack_requeue_true", encoding: "auto" });
  assert.deepEqual(await get(name), []);
});

test("a stream gives nothing message by message, and says so", async () => {
  await api.expect(201, "PUT", "queues/%2f/stream", { durable: true, arguments: { "x-queue-type": "stream" } });
  const refused = await api.expect(400, "POST", "queues/%2f/stream/get", {
    count: 1,
    ackmode: "ack_requeue_true",
    encoding: "auto",
  });
  assert.match(refused.json.reason, /basic.get not supported by stream queues/);
  await publish("stream", "kept");
  const shown = await api.get("queues/%2f/stream");
  assert.deepEqual([shown.type, shown.messages], ["stream", 1]);
  await api.expect(400, "DELETE", "queues/%2f/stream/contents");
  await api.expect(400, "PUT", "queues/%2f/stream/pause");
});

test("the aliveness test goes the whole way", async () => {
  assert.deepEqual(await api.get("aliveness-test/%2f"), { status: "ok" });
  assert.equal((await api.get("queues/%2f/aliveness-test")).messages, 0);
});
