// A definitions file at boot, as an operator gives it: for each way to run the broker. What it brought is on disk before
// the broker says that it is ready, so a kill right behind the ready line loses nothing.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { BrokerProcess, temporaryDirectory, testTargets } from "../support/broker_process.ts";
import { RawAmqp } from "../support/raw_amqp.ts";
import { PROTOCOL_HEADER } from "../support/raw_bytes.ts";
import { basic, channel, connection, queue } from "../support/raw_methods.ts";

const TEST_TIMEOUT_MS = 120_000;

/** Salted SHA-256 of `secret`, as RabbitMQ exports it. */
const HASH = "mgpOcQGpKTXbpkX9Q7WL3DzD+4++8FQPaDKfJCjjAJo1wRLD";

function definitions(maxLength: number) {
  const vhost = "tenant";
  return {
    rabbit_version: "3.12.1",
    users: [{
      name: "ann",
      password_hash: HASH,
      hashing_algorithm: "rabbit_password_hashing_sha256",
      tags: [],
      limits: {},
    }],
    vhosts: [{ name: vhost }],
    permissions: [{ user: "ann", vhost, configure: "^own", write: ".*", read: ".*" }],
    policies: [{ vhost, name: "short", pattern: "^own", definition: { "max-length": maxLength } }],
    queues: [{ vhost, name: "own.q", durable: true, auto_delete: false, arguments: {} }],
  };
}

function write(content: unknown): string {
  const path = join(temporaryDirectory(), "definitions.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

async function logIn(broker: BrokerProcess, user: string, password: string, vhost: string): Promise<RawAmqp> {
  const client = await RawAmqp.connect(broker.port);
  client.send(PROTOCOL_HEADER);
  await client.reply("connection.start");
  client.send(connection.startOk({ user, password }));
  await client.reply("connection.tune");
  client.send(connection.tuneOk(), connection.open(vhost));
  await client.reply("connection.open-ok");
  await client.call("channel.open-ok", channel.open(1));
  return client;
}

/** What user, permission, queue and policy of the file come to. */
async function check(broker: BrokerProcess): Promise<void> {
  const client = await logIn(broker, "ann", "secret", "tenant");
  client.send(...["1", "2", "3"].map((body) => basic.publish(1, "own.q", body)));
  await client.expectSilence(1);
  const args = await client.call("queue.declare-ok", queue.declare(1, "own.q", { passive: true }));
  assert.deepEqual([args.shortString(), args.long()], ["own.q", 2]);
  client.send(queue.declare(1, "foreign"));
  assert.match((await client.refused()).text, /configure access to queue 'foreign' in vhost 'tenant' refused/);
  await client.close();
}

for (const target of testTargets()) {
  describe(target, () => {
    it("users, permissions and policies of a definitions file survive a kill behind the ready line", {
      timeout: TEST_TIMEOUT_MS,
    }, async () => {
      const dataDir = temporaryDirectory();
      const args = ["--load-definitions", write(definitions(2))];
      const first = await BrokerProcess.start(target, { dataDir, args });
      await first.kill9();
      const second = await BrokerProcess.start(target, { dataDir });
      try {
        await check(second);
        // The default user came with the empty directory, before the file.
        await (await logIn(second, "guest", "guest", "/")).close();
      } finally {
        await second.dispose();
      }
    });

    it("a definitions file with a mistake ends the start with a line that says where, and changes nothing", {
      timeout: TEST_TIMEOUT_MS,
    }, async () => {
      const dataDir = temporaryDirectory();
      const mistakes: [unknown, RegExp][] = [
        [definitions(-1), /^leveret: definitions: policies\[0\], policy 'short': .*-1 is not a valid maximum length/m],
        ["{", /^leveret: load_definitions: .*definitions\.json: /m],
      ];
      for (const [content, text] of mistakes) {
        const args = ["--load-definitions", write(content)];
        await assert.rejects(BrokerProcess.start(target, { dataDir, args }), (error) => {
          assert.match((error as Error).message, text);
          return true;
        });
      }
      const broker = await BrokerProcess.start(target, { dataDir });
      try {
        await assert.rejects(logIn(broker, "ann", "secret", "tenant"));
      } finally {
        await broker.dispose();
      }
    });
  });
}
