// Settings that change while the broker runs: SIGHUP, as an operator sends it.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { BrokerProcess, temporaryDirectory, testTargets } from "../support/broker_process.ts";
import { type OpenOptions, RawAmqp } from "../support/raw_amqp.ts";
import { PERSISTENT } from "../support/raw_bytes.ts";
import { basic, CAPABILITIES, confirm, queue } from "../support/raw_methods.ts";

const TEST_TIMEOUT_MS = 120_000;
const TOLD: OpenOptions = {
  properties: { capabilities: { ...CAPABILITIES.capabilities, "connection.blocked": true } },
};

/** A broker with a settings file that can be written anew. */
class Configured {
  readonly broker: BrokerProcess;
  readonly #file: string;
  #logLines = 0;

  private constructor(broker: BrokerProcess, file: string) {
    this.broker = broker;
    this.#file = file;
  }

  static async start(target: BrokerProcess["target"], settings: string): Promise<Configured> {
    const file = join(temporaryDirectory(), "leveret.ini");
    writeFileSync(file, settings);
    return new Configured(await BrokerProcess.start(target, { args: ["--config", file] }), file);
  }

  /** Resolves when the broker has said that it did. */
  async reload(settings: string): Promise<void> {
    writeFileSync(this.#file, settings);
    this.broker.program.kill("SIGHUP");
    this.#logLines++;
    await this.broker.program.until("line about SIGHUP", () => {
      return this.broker.stderr.split("SIGHUP:").length > this.#logLines ? true : undefined;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker.dispose();
  }
}

for (const target of testTargets()) {
  describe(`SIGHUP, ${target}`, () => {
    it("switches sync under load: every confirm comes, once and in order (behaviours 17)", {
      timeout: TEST_TIMEOUT_MS,
    }, async () => {
      await using configured = await Configured.start(target, "[main]\nsync = yes\n");
      const { broker } = configured;
      const client = await RawAmqp.open(broker.port, { channels: 1 });
      await client.call("queue.declare-ok", queue.declare(1, "switched", { durable: true }));
      await client.call("confirm.select-ok", confirm.select(1));
      const [rounds, count] = [10, 400];
      let confirmed = 0;
      for (let round = 0; round < rounds; round++) {
        const publishes = Array.from({ length: count }, () => basic.publish(1, "switched", "m", PERSISTENT));
        client.send(...publishes.slice(0, count / 2));
        const switched = configured.reload(`[main]\nsync = ${round % 2 === 0 ? "no" : "yes"}\n`);
        client.send(...publishes.slice(count / 2));
        while (confirmed < (round + 1) * count) {
          const { args } = await client.reply("basic.ack");
          const [tag, multiple] = [args.longlong(), args.octet() === 1];
          if (!multiple) assert.equal(tag, confirmed + 1, "a single ack is for the next one");
          assert.ok(tag > confirmed, `ack of ${tag} after ${confirmed}`);
          confirmed = tag;
        }
        await switched;
      }
      assert.equal(confirmed, rounds * count);
      await client.close();
      await broker.kill9();
      await broker.restart();
      const again = await RawAmqp.open(broker.port, { channels: 1 });
      const args = await again.call("queue.declare-ok", queue.declare(1, "switched", { durable: true }));
      args.shortString();
      assert.equal(args.long(), rounds * count);
      await again.close();
    });

    it("ends an alarm: publisher and declarer go on by themselves (behaviours 46)", {
      timeout: TEST_TIMEOUT_MS,
    }, async () => {
      await using configured = await Configured.start(target, "[main]\nfree_disk_min = 0\n");
      const { broker } = configured;
      const publisher = await RawAmqp.open(broker.port, { ...TOLD, channels: 1 });
      const declarer = await RawAmqp.open(broker.port, { ...TOLD, channels: 1 });
      await publisher.call("queue.declare-ok", queue.declare(1, "held", { durable: true }));
      await publisher.call("confirm.select-ok", confirm.select(1));
      await configured.reload("[main]\nfree_disk_min = 1000000 GiB\n");
      publisher.send(basic.publish(1, "held", "m", PERSISTENT));
      assert.equal((await publisher.reply("connection.blocked")).args.shortString(), "low on disk");
      declarer.send(queue.declare(1, "later", { durable: true }));
      await declarer.reply("connection.blocked");
      await configured.reload("[main]\nfree_disk_min = 0\n");
      await publisher.reply("connection.unblocked");
      await publisher.reply("basic.ack");
      await declarer.reply("connection.unblocked");
      await declarer.reply("queue.declare-ok");
      await publisher.close();
      await declarer.close();
    });
  });
}
