// Definitions files between RabbitMQ and Leveret, in both directions: a file that one wrote comes in whole at the other, and
// its users log in with their passwords.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { BrokerProcess, type Target, testTargets } from "../support/broker_process.ts";
import { ask } from "../support/http_api.ts";
import { rabbitMissing, RabbitMq } from "../support/rabbitmq.ts";
import { RawAmqp } from "../support/raw_amqp.ts";
import { describeTopology, RichTopology, type RichUser } from "../support/rich_topology.ts";

const TEST_TIMEOUT_MS = 300_000;
const targets = testTargets().filter((name) => name !== "command");
let started: Promise<RabbitMq> | undefined;
const rabbit = () => started ??= RabbitMq.start();

interface Peer {
  readonly port: number;
  readonly httpPort: number;
}

async function exported({ httpPort }: Peer): Promise<string> {
  const { status, text } = await ask(httpPort, "GET", "definitions");
  assert.equal(status, 200, text);
  return text;
}

async function imported({ httpPort }: Peer, definitions: string): Promise<void> {
  const { status, text } = await ask(httpPort, "POST", "definitions", { body: definitions });
  assert.equal(status, 204, text);
}

async function logIn(peer: Peer, user: RichUser, vhost: string): Promise<void> {
  const { name, password } = user;
  const wrong = await ask(peer.httpPort, "GET", "whoami", { as: `${name}:wrong` });
  assert.equal(wrong.status, 401, name);
  await assert.rejects(() => RawAmqp.open(peer.port, { user: name, password: "wrong", vhost }), /ACCESS_REFUSED/, name);
  if (password === null) return;
  const right = await ask(peer.httpPort, "GET", "whoami", { as: `${name}:${password}` });
  const mayManage = user.tags.some((tag) => tag !== "impersonator");
  assert.equal(right.status, mayManage ? 200 : 401, `${name}: ${right.text}`);
  if (mayManage) assert.deepEqual(right.json.tags, user.tags);
  const client = await RawAmqp.open(peer.port, { user: name, password, vhost, channels: 1 });
  await client.close();
}

after(async () => await (await started)?.dispose());

for (const target of targets) {
  describe(`definitions of RabbitMQ and ${target}`, { skip: rabbitMissing ?? false }, () => {
    async function withLeveret(act: (leveret: BrokerProcess, rabbit: RabbitMq) => Promise<void>): Promise<void> {
      const leveret = await BrokerProcess.start(target as Target, { http: true });
      try {
        await act(leveret, await rabbit());
      } finally {
        await leveret.dispose();
      }
    }

    it(
      "RabbitMQ's export comes in whole, and its users log in",
      { timeout: TEST_TIMEOUT_MS },
      () =>
        withLeveret(async (leveret, rabbit) => {
          const prefix = `r${targets.indexOf(target)}`;
          const rich = new RichTopology(prefix);
          await rich.make(rabbit.httpPort);
          await imported(leveret, await exported(rabbit));
          // RabbitMQ 3.10 writes nothing of a virtual host but its name.
          const without = ["vhosts"];
          assert.deepEqual(
            await describeTopology(leveret.httpPort, prefix, { without }),
            await describeTopology(rabbit.httpPort, prefix, { without }),
          );
          for (const user of rich.users) await logIn(leveret, user, rich.vhost);
        }),
    );

    it(
      "its own export comes in whole at RabbitMQ, and its users log in",
      { timeout: TEST_TIMEOUT_MS },
      () =>
        withLeveret(async (leveret, rabbit) => {
          const prefix = `l${targets.indexOf(target)}`;
          const rich = new RichTopology(prefix, {
            "x-message-deduplication": true,
            "x-cache-size": 100,
            "x-cache-ttl": 1000,
            "x-consumer-timeout": 600_000,
          });
          await rich.make(leveret.httpPort);
          await imported(rabbit, await exported(leveret));
          assert.deepEqual(
            await describeTopology(rabbit.httpPort, prefix),
            await describeTopology(leveret.httpPort, prefix),
          );
          for (const user of rich.users) await logIn(rabbit, user, rich.vhost);
        }),
    );
  });
}
