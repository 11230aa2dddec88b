// Each client runs the common patterns the way its users write them.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { BodyPool } from "../support/bodies.ts";
import { SharedBroker, testTargets } from "../support/broker_process.ts";
import { amqplibPatterns } from "./amqplib_patterns.ts";
import { cloudamqpPatterns } from "./cloudamqp_patterns.ts";
import { foreignClients, runsForeignClients } from "./foreign_clients.ts";
import { PATTERNS, type Patterns, TRANSACTIONS } from "./patterns.ts";
import { rabbitmqPatterns } from "./rabbitmq_client_patterns.ts";

const TEST_TIMEOUT_MS = 400_000;
const PATTERN_TIMEOUT_MS = 60_000;

const NPM_CLIENTS: readonly [string, Patterns][] = [
  ["amqplib", amqplibPatterns],
  ["rabbitmq-client", rabbitmqPatterns],
  ["@cloudamqp/amqp-client", cloudamqpPatterns],
];

const PLAN = { count: 1, sizes: [16], largeEvery: 10, largeBytes: 16 };
const pool = new BodyPool();

for (const target of testTargets()) {
  describe(`common patterns against ${target}`, () => {
    const shared = new SharedBroker(target);
    after(() => shared.dispose());

    for (const [client, patterns] of NPM_CLIENTS) {
      for (const name of [...PATTERNS, TRANSACTIONS] as const) {
        const pattern = patterns[name];
        if (pattern === undefined) continue;
        it(`${client}: ${name}`, { timeout: PATTERN_TIMEOUT_MS }, async () => {
          await pattern((await shared.get()).uri, `patterns of ${client}`);
        });
      }
    }

    for (const client of runsForeignClients ? foreignClients : []) {
      const skip = client.missing;
      const title = skip === undefined ? `${client.name} runs them all` : `${skip}: ${client.name} test skipped`;
      it(title, { timeout: TEST_TIMEOUT_MS, skip }, async () => {
        client.install();
        const { uri } = await shared.get();
        const passed: string[] = [];
        const queue = `patterns of ${client.name}`;
        const options = { uri, queue, plan: PLAN, pool, outstandingMax: 1, prefetch: 1 };
        await client.run("patterns", options, (event) => {
          if (event.event === "check") passed.push(event.name);
        });
        assert.deepEqual(passed, [...PATTERNS, TRANSACTIONS]);
      });
    }
  });
}
