// What programs in Python, Go and Java rely on, each with the client library usual there.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { BodyPool } from "../support/bodies.ts";
import { SharedBroker, testTargets } from "../support/broker_process.ts";
import { celery, type ForeignClient, foreignClients, runsForeignClients } from "./foreign_clients.ts";

const TEST_TIMEOUT_MS = 400_000;

const CHECKS = [
  "bodies of every size arrive in order and byte-identical",
  "all properties and header types round-trip",
  "a rejected message comes back flagged redelivered",
  "an unroutable mandatory message is returned and confirmed",
  "get takes one message and tells an empty queue",
  "errors close the channel with the right code, not the connection",
  "an exclusive queue is locked to its connection",
  "prefetch limits what is outstanding",
  "topic routing follows the pattern",
];

const CELERY_CHECKS = ["a chain of tasks", "a group of tasks", "a task that waits for its time"];

const PROGRAMS: readonly [ForeignClient, string[]][] = [
  ...foreignClients.map((client): [ForeignClient, string[]] => [client, CHECKS]),
  [celery, CELERY_CHECKS],
];

const pool = new BodyPool();
const PLAN = { count: 40, sizes: [0, 16, 1024, 1024 * 1024], largeEvery: 10, largeBytes: 131_064 };

for (const target of runsForeignClients ? testTargets() : []) {
  describe(`clients in other languages against ${target}`, () => {
    const shared = new SharedBroker(target);
    after(() => shared.dispose());

    for (const [client, checks] of PROGRAMS) {
      const skip = client.missing;
      const title = skip === undefined
        ? `${client.name} gets all it relies on`
        : `${skip}: ${client.name} test skipped`;
      it(title, { timeout: TEST_TIMEOUT_MS, skip }, async () => {
        client.install();
        const broker = await shared.get();
        const passed: string[] = [];
        const queue = `core ${client.name}`;
        const options = { uri: broker.uri, queue, plan: PLAN, pool, outstandingMax: 1_000, prefetch: 100 };
        await client.run("core", options, (event) => {
          if (event.event === "check") passed.push(event.name);
        });
        assert.deepEqual(passed, checks);
      });
    }
  });
}
