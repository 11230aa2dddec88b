// Policies: what holds for a queue or an exchange changes at once, and back again when they go.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { effectivePolicyShape } from "../../src/core/management/shapes.ts";
import { ManagedBroker } from "../support/managed_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import { basic, confirm, exchange, queue } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";

const broker = new ManagedBroker();
after(() => broker.stop());

const management = await broker.management();

async function setPolicy(name: string, definition: Record<string, string | number>, rest: object = {}): Promise<void> {
  await management.putPolicy("policy", "/", name, { pattern: `^${name}$`, definition, ...rest });
}

async function clearPolicy(name: string): Promise<void> {
  assert.equal(await management.deletePolicy("policy", "/", name), true);
}

async function count(client: RawAmqp, name: string): Promise<number> {
  const args = await client.call("queue.declare-ok", queue.declare(1, name, { passive: true }));
  args.shortString();
  return args.long();
}

async function fill(client: RawAmqp, name: string, bodies: readonly string[]): Promise<void> {
  client.send(...bodies.map((body) => basic.publish(1, name, body)));
  await client.expectSilence(1);
}

async function bodyOf(client: RawAmqp, name: string): Promise<string> {
  client.send(basic.get(1, name, true));
  return (await client.message()).body.toString();
}

test("max-length trims a queue that is full of old messages at once, and not any more when it is gone (behaviours 18)", async () => {
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "length"));
  await fill(client, "length", ["1", "2", "3", "4", "5"]);
  await setPolicy("length", { "max-length": 2 });
  assert.equal(await count(client, "length"), 2);
  assert.equal(await bodyOf(client, "length"), "4");
  await fill(client, "length", ["6", "7"]);
  assert.equal(await count(client, "length"), 2);
  await clearPolicy("length");
  await fill(client, "length", ["8", "9"]);
  assert.equal(await count(client, "length"), 4);
});

test("max-length-bytes, and the lower one of policy and argument", async () => {
  const client = await broker.open();
  const args = { "x-max-length": 3 };
  await client.call("queue.declare-ok", queue.declare(1, "lower", { args }));
  await setPolicy("lower", { "max-length": 10, "max-length-bytes": 4 });
  await fill(client, "lower", ["1", "2", "3", "4"]);
  assert.equal(await count(client, "lower"), 3);
  await fill(client, "lower", ["xxx", "y"]);
  assert.equal(await count(client, "lower"), 2);
  // Redeclared with what it was declared with: policies are no arguments.
  await client.call("queue.declare-ok", queue.declare(1, "lower", { args }));
});

test("an operator policy holds whatever a policy says", async () => {
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "operated"));
  await setPolicy("operated", { "max-length": 10 });
  await management.putPolicy("operator-policy", "/", "op", { pattern: "^operated$", definition: { "max-length": 1 } });
  await fill(client, "operated", ["1", "2", "3"]);
  assert.equal(await count(client, "operated"), 1);
  const { policy } = management.realm.vhost("/").queues.get("operated")!;
  assert.deepEqual(effectivePolicyShape(policy), {
    policy: "operated",
    operator_policy: "op",
    effective_policy_definition: { "max-length": 1 },
  });
  assert.equal(management.getParameter("/", "operator_policy", "op")!.component, "operator_policy");
  await management.deletePolicy("operator-policy", "/", "op");
  await fill(client, "operated", ["4", "5"]);
  assert.equal(await count(client, "operated"), 3);
});

test("message-ttl ends messages that are there, those of a queue that nobody uses", async () => {
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "ttl"));
  await fill(client, "ttl", ["1", "2"]);
  await setPolicy("ttl", { "message-ttl": 1 });
  await waitFor("the messages' end", async () => await count(client, "ttl") === 0);
  await fill(client, "ttl", ["3"]);
  await waitFor("its end", async () => await count(client, "ttl") === 0);
  await clearPolicy("ttl");
  await fill(client, "ttl", ["4"]);
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(await count(client, "ttl"), 1);
});

test("expires ends a queue that nobody uses, unless the policy goes first", async () => {
  const client = await broker.open();
  const { queues } = management.realm.vhost("/");
  for (const name of ["expires", "stays"]) await client.call("queue.declare-ok", queue.declare(1, name));
  // One right after the other: no time passes between them.
  await Promise.all([setPolicy("stays", { expires: 50 }), clearPolicy("stays")]);
  await setPolicy("expires", { expires: 50 });
  await waitFor("the queue's end", () => !queues.has("expires"));
  assert.ok(queues.has("stays"));
});

test("overflow and dead letter exchange come and go", async () => {
  const client = await broker.open();
  await client.call("confirm.select-ok", confirm.select(1));
  await client.call("queue.declare-ok", queue.declare(1, "full"));
  await client.call("queue.declare-ok", queue.declare(1, "dead"));
  const publish = async (body: string): Promise<string> => {
    client.send(basic.publish(1, "full", body));
    return (await client.next())!.name;
  };
  const [ACK, NACK] = ["60.80", "60.120"];
  assert.deepEqual([await publish("1"), await publish("2")], [ACK, ACK]);
  await setPolicy("full", { "max-length": 1, overflow: "reject-publish" });
  assert.equal(await publish("3"), NACK);
  await setPolicy("full", { "max-length": 1, "dead-letter-exchange": "", "dead-letter-routing-key": "dead" });
  assert.equal(await publish("4"), ACK);
  await waitFor("the dead letters", async () => await count(client, "dead") > 0);
  const dead = await count(client, "dead");
  await setPolicy("full", { "max-length": 1 });
  assert.equal(await publish("5"), ACK);
  assert.equal(await count(client, "dead"), dead);
});

test("delivery-limit counts from when the policy holds", async () => {
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "poison"));
  await fill(client, "poison", ["x"]);
  const giveBack = async (): Promise<void> => {
    client.send(basic.get(1, "poison"));
    const { deliveryTag } = await client.message();
    client.send(basic.reject(1, deliveryTag, true));
    await client.expectSilence(1);
  };
  for (let i = 0; i < 5; i++) await giveBack();
  await setPolicy("poison", { "delivery-limit": 1 });
  await giveBack();
  assert.equal(await count(client, "poison"), 1);
  await giveBack();
  assert.equal(await count(client, "poison"), 0);
});

test("consumer-timeout holds for consumers that are there", async () => {
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "slow"));
  await client.call("basic.consume-ok", basic.consume(1, "slow"));
  await setPolicy("slow", { "consumer-timeout": 1 });
  client.send(basic.publish(1, "slow", "x"));
  await client.message();
  const { code, text } = await client.refused();
  assert.equal(code, 406);
  assert.match(text, /delivery acknowledgement on channel 1 timed out\. Timeout value used: 1 ms/);
});

test("an alternate exchange by policy takes what has no queue, from the next message on", async () => {
  const client = await broker.open();
  await client.call("exchange.declare-ok", exchange.declare(1, "lonely", "direct"));
  await client.call("queue.declare-ok", queue.declare(1, "caught"));
  await client.call("queue.bind-ok", queue.bind(1, "caught", "amq.fanout", ""));
  const publish = async () => {
    client.send(basic.publish(1, "nowhere", "x", { exchange: "lonely" }));
    await client.expectSilence(1);
  };
  await publish();
  assert.equal(await count(client, "caught"), 0);
  await setPolicy("lonely", { "alternate-exchange": "amq.fanout" }, { applyTo: "exchanges" });
  await publish();
  assert.equal(await count(client, "caught"), 1);
  await clearPolicy("lonely");
  await publish();
  assert.equal(await count(client, "caught"), 1);
});

test("a policy that was there first holds for what is declared later; streams take theirs", async () => {
  await setPolicy("later", { "max-length": 1 });
  await setPolicy("stream", { "max-age": "1h", "max-length-bytes": 1000, "max-length": 2 }, { applyTo: "streams" });
  const client = await broker.open();
  await client.call("queue.declare-ok", queue.declare(1, "later"));
  await fill(client, "later", ["1", "2"]);
  assert.equal(await count(client, "later"), 1);
  const args = { "x-queue-type": "stream" };
  await client.call("queue.declare-ok", queue.declare(1, "stream", { durable: true, args }));
  const { settings } = management.realm.vhost("/").queues.get("stream") as unknown as {
    settings: { retention: object };
  };
  assert.deepEqual(settings.retention, { maxAgeMs: 3_600_000, maxBytes: 1000, maxLength: 2 });
});
