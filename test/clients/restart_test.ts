// Nothing confirmed is lost through kill -9, by every client against every target. (reliability.md, T01, in small)
//
// The broker is killed twice while a client publishes with up to 1,000 unconfirmed messages (the second time a fast one
// may be through already), and once while it consumes. The programs in Python, Go and Java run from Bun's test run only, to save time.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import process from "node:process";
import { BodyPool, type Plan } from "../support/bodies.ts";
import { BrokerProcess, testTargets } from "../support/broker_process.ts";
import { Ledger } from "../support/ledger.ts";
import { type Client, drainThroughRestarts, type Job, publishThroughRestarts, reopen } from "../support/restart_job.ts";
import { waitFor } from "../support/wait.ts";
import { amqplibClient, cloudamqpClient, rabbitmqClient } from "./npm_clients.ts";
import { foreignClients, runsForeignClients } from "./foreign_clients.ts";

const TEST_TIMEOUT_MS = 600_000;
const OUTSTANDING_MAX = 1_000;
const PREFETCH = 1_000;

// 100,000 messages per client, split over the targets; FULL=1: 100,000 of each size against each target.
const targets = testTargets();
const full = process.env.FULL === "1";
const PLANS: readonly Plan[] = full
  ? [
    { count: 100_000, sizes: [0], largeEvery: 100_000, largeBytes: 0 },
    { count: 100_000, sizes: [16], largeEvery: 100_000, largeBytes: 16 },
    { count: 100_000, sizes: [1024], largeEvery: 100_000, largeBytes: 1024 },
    { count: 1_000, sizes: [1024 * 1024], largeEvery: 1_000, largeBytes: 1024 * 1024 },
  ]
  : [{
    count: Math.ceil(100_000 / targets.length),
    sizes: [0, 16, 1024, 16, 0, 16, 1024],
    largeEvery: 1_000,
    largeBytes: 1024 * 1024,
  }];

const pool = new BodyPool();
const npmClients: readonly Client[] = [amqplibClient, rabbitmqClient, cloudamqpClient];
const brokers = new Set<BrokerProcess>();

async function killAndRestart(broker: BrokerProcess): Promise<void> {
  await broker.kill9();
  await broker.restart();
}

/** Kills the broker when `progress` has passed each of the marks; fails early when the work fails. */
async function killAt(broker: BrokerProcess, marks: number[], progress: () => number, work: Promise<void>) {
  let failure: { error: unknown } | undefined;
  work.catch((error) => failure = { error });
  for (const mark of marks) {
    await waitFor(`progress beyond ${mark}`, () => failure !== undefined || progress() >= mark, TEST_TIMEOUT_MS);
    if (failure !== undefined) break;
    await killAndRestart(broker);
  }
  await work;
}

/** Fewer for few messages, or one sync would confirm them all before the broker can be killed. */
function outstandingMax({ count }: Plan): number {
  return Math.min(OUTSTANDING_MAX, count / 20);
}

function thirds(count: number): number[] {
  return [Math.floor(count / 3), Math.floor(2 * count / 3)];
}

for (const target of targets) {
  // Other makers' brokers do not promise that acknowledgements survive kill -9.
  const unackedMax = target === "command" ? Infinity : PREFETCH;
  describe(`kill -9 of the broker on ${target}`, () => {
    after(async () => {
      for (const broker of brokers) await broker.dispose();
    });

    for (const client of npmClients) {
      it(`loses nothing confirmed to ${client.name}`, { timeout: TEST_TIMEOUT_MS }, async () => {
        const broker = await BrokerProcess.start(target);
        brokers.add(broker);
        for (const plan of PLANS) {
          const ledger = new Ledger();
          const queue = `restart ${client.name} ${plan.sizes[0]}`;
          const job: Job = {
            uri: broker.uri,
            queue,
            plan,
            pool,
            outstandingMax: outstandingMax(plan),
            prefetch: PREFETCH,
            ledger,
            confirmed: 0,
          };
          const session = await reopen(client, broker.uri);
          await session.declare(queue);
          await session.close();

          await killAt(broker, thirds(plan.count), () => job.confirmed, publishThroughRestarts(client, job));
          assert.ok(ledger.resumes.length >= 1, "the publisher was cut off while it published");

          const half = [Math.floor(plan.count / 2)];
          await killAt(broker, half, () => ledger.delivered, drainThroughRestarts(client, job));
          ledger.check(plan.count, unackedMax);

          await killAndRestart(broker);
          const last = await reopen(client, broker.uri);
          assert.equal(await last.messageCount(queue), 0, "what was acknowledged is gone after a restart, too");
          await last.close();
        }
        await broker.dispose();
        brokers.delete(broker);
      });
    }

    for (const client of runsForeignClients ? foreignClients : []) {
      const skip = client.missing;
      const title = skip === undefined
        ? `loses nothing confirmed to ${client.name}`
        : `${skip}: ${client.name} test skipped`;
      it(title, { timeout: TEST_TIMEOUT_MS, skip }, async () => {
        await client.install();
        const broker = await BrokerProcess.start(target);
        brokers.add(broker);
        for (const plan of PLANS) {
          const ledger = new Ledger();
          const queue = `restart ${client.name} ${plan.sizes[0]}`;
          const options = {
            uri: broker.uri,
            queue,
            plan,
            pool,
            outstandingMax: outstandingMax(plan),
            prefetch: PREFETCH,
          };

          let confirmed = 0;
          const publishing = client.run("publish", options, (event) => {
            if (event.event === "confirmed") confirmed = event.count;
            if (event.event === "resumed") ledger.resumes.push({ from: event.from, sent: event.sent });
          });
          await killAt(broker, thirds(plan.count), () => confirmed, publishing);
          assert.equal(confirmed, plan.count);
          assert.ok(ledger.resumes.length >= 1, "the publisher was cut off while it published");

          const draining = client.run("drain", options, (event) => {
            if (event.event === "delivered") ledger.addRun(event);
          });
          await killAt(broker, [Math.floor(plan.count / 2)], () => ledger.delivered, draining);
          ledger.check(plan.count, unackedMax);

          await killAndRestart(broker);
          const last = await reopen(amqplibClient, broker.uri);
          assert.equal(await last.messageCount(queue), 0, "what was acknowledged is gone after a restart, too");
          await last.close();
        }
        await broker.dispose();
        brokers.delete(broker);
      });
    }
  });
}
