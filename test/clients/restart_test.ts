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
import { type ForeignClient, foreignClients, runsForeignClients } from "./foreign_clients.ts";

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
const clients: readonly RestartClient[] = [
  ...[amqplibClient, rabbitmqClient, cloudamqpClient].map(ofNpm),
  ...(runsForeignClients ? foreignClients : []).map(ofAnotherLanguage),
];
const brokers = new Set<BrokerProcess>();

/** One that publishes a job's messages and takes them again, and lives through the broker's ends meanwhile. */
interface RestartClient {
  readonly name: string;
  readonly missing?: string | undefined;
  install(): void;
  publish(job: Job): Promise<void>;
  drain(job: Job): Promise<void>;
}

function ofNpm(client: Client): RestartClient {
  return {
    name: client.name,
    install: () => {},
    async publish(job) {
      const session = await reopen(client, job.uri);
      await session.declare(job.queue);
      await session.close();
      await publishThroughRestarts(client, job);
    },
    drain: (job) => drainThroughRestarts(client, job),
  };
}

function ofAnotherLanguage(client: ForeignClient): RestartClient {
  return {
    name: client.name,
    missing: client.missing,
    install: () => client.install(),
    publish: (job) =>
      client.run("publish", job, (event) => {
        if (event.event === "confirmed") job.confirmed = event.count;
        if (event.event === "resumed") job.ledger.resumes.push({ from: event.from, sent: event.sent });
      }),
    drain: (job) =>
      client.run("drain", job, (event) => {
        if (event.event === "delivered") job.ledger.addRun(event);
      }),
  };
}

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

    for (const client of clients) {
      const { missing: skip } = client;
      const title = `${skip === undefined ? "" : `${skip}, test skipped: `}loses nothing confirmed to ${client.name}`;
      it(title, { timeout: TEST_TIMEOUT_MS, skip }, async () => {
        client.install();
        const broker = await BrokerProcess.start(target);
        brokers.add(broker);
        for (const plan of PLANS) {
          const ledger = new Ledger();
          const job: Job = {
            uri: broker.uri,
            queue: `restart ${client.name} ${plan.sizes[0]}`,
            plan,
            pool,
            outstandingMax: outstandingMax(plan),
            prefetch: PREFETCH,
            ledger,
            confirmed: 0,
          };
          await killAt(broker, thirds(plan.count), () => job.confirmed, client.publish(job));
          assert.equal(job.confirmed, plan.count);
          assert.ok(ledger.resumes.length >= 1, "the publisher was cut off while it published");

          await killAt(broker, [Math.floor(plan.count / 2)], () => ledger.delivered, client.drain(job));
          ledger.check(plan.count, unackedMax);

          await killAndRestart(broker);
          const last = await reopen(amqplibClient, broker.uri);
          assert.equal(await last.messageCount(job.queue), 0, "what was acknowledged is gone after a restart, too");
          await last.close();
        }
        await broker.dispose();
        brokers.delete(broker);
      });
    }
  });
}
