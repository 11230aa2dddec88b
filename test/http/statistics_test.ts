// Statistics: what is counted where, rates and samples, churn, and what idle things cost.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { HttpApi } from "../support/http_api.ts";
import { basic, confirm } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";

const api = new HttpApi({ statsIntervalMs: 100, statsLogSize: 20 });
after(() => api.stop());

const GET = { count: 1, ackmode: "ack_requeue_false", encoding: "auto" };

// deno-lint-ignore no-explicit-any
function counts(stats: any): Record<string, number> {
  const entries = Object.entries(stats ?? {}).filter(([name, value]) => !name.endsWith("_details") && value !== 0);
  return Object.fromEntries(entries) as Record<string, number>;
}

test("every message is counted where it passes", async () => {
  await api.expect(201, "PUT", "exchanges/%2f/counted", { type: "direct" });
  await api.expect(201, "PUT", "queues/%2f/counted", {});
  await api.expect(201, "POST", "bindings/%2f/e/counted/q/counted", { routing_key: "k" });
  const client = await api.amqp();
  await client.call("confirm.select-ok", confirm.select(1));
  const publish = async (key: string, options: object = {}) => {
    client.send(basic.publish(1, key, "x", { exchange: "counted", ...options }));
    await client.reply("basic.ack");
  };
  for (let i = 0; i < 5; i++) await publish("k");
  await publish("nowhere");
  client.send(basic.publish(1, "nowhere", "x", { exchange: "counted", mandatory: true }));
  await client.message();
  await client.reply("basic.ack");
  // Got and put back, got again, delivered and acknowledged, delivered without.
  client.send(basic.get(1, "counted"));
  const got = await client.message();
  client.send(basic.nack(1, got.deliveryTag));
  await client.call("basic.consume-ok", basic.consume(1, "counted", { tag: "acking" }));
  const delivered = await client.messages(5);
  for (const { deliveryTag } of delivered) client.send(basic.ack(1, deliveryTag));
  await client.call("basic.cancel-ok", basic.cancel(1, "acking"));
  await client.call("basic.get-empty", basic.get(1, "counted"));
  const second = await api.amqp();
  await second.call("basic.consume-ok", basic.consume(1, "counted", { noAck: true }));
  await publish("k");
  await second.message();
  const queue = {
    publish: 6,
    deliver: 5,
    deliver_no_ack: 1,
    deliver_get: 7,
    get: 1,
    get_empty: 1,
    ack: 5,
    redeliver: 1,
  };
  await waitFor("all acknowledgements", async () => {
    return (await api.get("queues/%2f/counted")).message_stats?.ack === 5;
  });
  assert.deepEqual(counts((await api.get("queues/%2f/counted")).message_stats), queue);
  assert.deepEqual(counts((await api.get("exchanges/%2f/counted")).message_stats), { publish_in: 8, publish_out: 6 });
  const channels = await api.get("channels");
  const ofClient = channels.find(({ message_stats }: { message_stats?: { publish?: number } }) =>
    message_stats?.publish
  );
  assert.deepEqual(counts(ofClient.message_stats), {
    publish: 8,
    confirm: 8,
    drop_unroutable: 1,
    return_unroutable: 1,
    deliver: 5,
    deliver_get: 6,
    get: 1,
    get_empty: 1,
    ack: 5,
    redeliver: 1,
  });
  const all = {
    publish: 8,
    confirm: 8,
    drop_unroutable: 1,
    return_unroutable: 1,
    deliver: 5,
    deliver_no_ack: 1,
    deliver_get: 7,
    get: 1,
    get_empty: 1,
    ack: 5,
    redeliver: 1,
  };
  assert.deepEqual(counts((await api.get("overview")).message_stats), all);
  assert.deepEqual(counts((await api.get("vhosts/%2f")).message_stats), all);
  // What was counted stays when its connection has gone.
  await client.close();
  await second.close();
  await waitFor("no connection", async () => (await api.get("connections")).length === 0);
  assert.deepEqual(counts((await api.get("overview")).message_stats), all);
  await api.expect(200, "POST", "queues/%2f/counted/get", GET);
  assert.equal((await api.get("overview")).message_stats.get_empty, 2);
});

test("rates come from samples, and samples are given when they are asked for", async () => {
  await api.expect(201, "PUT", "queues/%2f/rated", {});
  const client = await api.amqp();
  let running = true;
  const publishing = (async () => {
    while (running) {
      client.send(basic.publish(1, "rated", "x"));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  })();
  try {
    await waitFor("a rate", async () => {
      return (await api.get("queues/%2f/rated")).message_stats?.publish_details.rate > 0;
    });
    await waitFor("samples", async () => {
      const range = "msg_rates_age=1&msg_rates_incr=1&lengths_age=1&lengths_incr=1";
      const queue = await api.get(`queues/%2f/rated?${range}`);
      const { samples, avg, avg_rate } = queue.message_stats.publish_details;
      if (samples.length < 2) return false;
      assert.ok(samples[0].sample >= samples[1].sample && samples[0].timestamp > samples[1].timestamp);
      assert.ok(typeof avg === "number" && avg_rate >= 0);
      assert.ok(queue.messages_details.samples[0].sample >= queue.messages_details.samples[1].sample);
      return true;
    });
    const { message_stats, queue_totals } = await api.get("overview");
    assert.ok(message_stats.publish_details.rate >= 0 && queue_totals.messages > 0);
    const { recv_oct, recv_oct_details, send_oct } = (await api.get("connections"))[0];
    assert.ok(recv_oct > 0 && send_oct > 0 && typeof recv_oct_details.rate === "number");
  } finally {
    running = false;
    await publishing;
  }
  await waitFor("no rate", async () => {
    return (await api.get("queues/%2f/rated")).message_stats.publish_details.rate === 0;
  });
});

test("what comes and goes is counted", async () => {
  const before = (await api.get("overview")).churn_rates;
  await api.expect(201, "PUT", "queues/%2f/churned", {});
  await api.expect(204, "PUT", "queues/%2f/churned", {});
  await api.expect(204, "DELETE", "queues/%2f/churned");
  await (await api.amqp()).close();
  const after = await waitFor("the end of the connection", async () => {
    const { churn_rates } = await api.get("overview");
    return churn_rates.connection_closed > before.connection_closed && churn_rates;
  });
  const changed = (name: string) => after[name] - before[name];
  assert.deepEqual(
    ["queue_declared", "queue_created", "queue_deleted", "connection_created", "channel_created", "channel_closed"]
      .map(changed),
    [2, 1, 1, 1, 1, 1],
  );
});

test("an open connection is shown with its channels and consumers", async () => {
  await api.expect(201, "PUT", "queues/%2f/shown", {});
  const client = await api.amqp();
  await client.call("basic.qos-ok", basic.qos(1, 7));
  await client.call("basic.consume-ok", basic.consume(1, "shown", { tag: "hare" }));
  const port = client.socket.localPort;
  const connection = (await api.get("connections")).find((one: { peer_port: number }) => one.peer_port === port);
  assert.match(connection.name, /^127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+$/);
  assert.deepEqual([connection.protocol, connection.user, connection.vhost, connection.state, connection.channels], [
    "AMQP 0-9-1",
    "guest",
    "/",
    "running",
    1,
  ]);
  assert.ok(Math.abs(connection.connected_at - Date.now()) < 600_000);
  const path = encodeURIComponent(connection.name);
  assert.equal((await api.get(`connections/${path}`)).name, connection.name);
  const [channel] = await api.get(`connections/${path}/channels`);
  assert.equal(channel.name, `${connection.name} (1)`);
  assert.deepEqual([channel.prefetch_count, channel.consumer_count, channel.number], [7, 1, 1]);
  const shown = await api.get(`channels/${encodeURIComponent(channel.name)}`);
  assert.equal(shown.consumer_details[0].consumer_tag, "hare");
  const consumers = await api.get("consumers/%2f");
  const consumer = consumers.find(({ consumer_tag }: { consumer_tag: string }) => consumer_tag === "hare");
  assert.deepEqual([consumer.queue, consumer.prefetch_count, consumer.ack_required, consumer.active], [
    { name: "shown", vhost: "/" },
    7,
    true,
    true,
  ]);
  assert.equal(consumer.channel_details.connection_name, connection.name);
  const queue = await api.get("queues/%2f/shown");
  assert.deepEqual([queue.consumers, queue.consumer_details.length, queue.consumer_utilisation], [1, 1, 1]);
  await api.expect(204, "DELETE", `connections/${path}`);
  assert.equal((await client.refused()).code, 320);
  await waitFor("its end", async () => (await api.ask("GET", `connections/${path}`)).status === 404);
});

test("an idle queue keeps no samples at all", async () => {
  const vhost = (await api.broker).management.realm.vhost("/");
  const options = { durable: false, autoDelete: false, exclusive: false, args: new Map() };
  const { queue } = vhost.declareQueue("idle", options, {});
  const { queue: busy } = vhost.declareQueue("busy", options, {});
  busy.counters.publish++;
  // The sampler came by both.
  await waitFor("samples of the other one", () => busy.counters.series !== null);
  assert.equal(queue.counters.series, null);
});
