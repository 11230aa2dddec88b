// What programs that manage a broker rely on, by rabbit-hole: Terraform's provider is made of it, and operators' tools.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BrokerProcess, testTargets } from "../support/broker_process.ts";
import { rabbitHole, runsForeignClients } from "./foreign_clients.ts";

const TEST_TIMEOUT_MS = 400_000;

const CHECKS = [
  "the broker, its node and its name",
  "users, their tags, hashes and limits",
  "virtual hosts and their limits",
  "permissions and topic permissions",
  "exchanges",
  "queues of every type",
  "bindings, found again as Terraform does",
  "policies and operator policies",
  "parameters and global parameters",
  "connections, channels and consumers",
  "a queue's numbers as KEDA reads them",
  "definitions out and in",
  "health checks and feature flags",
  "errors",
];

for (const target of runsForeignClients ? testTargets().filter((name) => name !== "command") : []) {
  describe(`managing ${target}`, () => {
    const skip = rabbitHole.missing;
    const suffix = skip === undefined ? "" : ` (${skip}: skipped)`;
    it(`${rabbitHole.name} gets all it relies on${suffix}`, { timeout: TEST_TIMEOUT_MS, skip }, async () => {
      rabbitHole.install();
      const broker = await BrokerProcess.start(target, { http: true });
      try {
        const passed: string[] = [];
        await rabbitHole.runWith([`uri=${broker.uri}`, `http_port=${broker.httpPort}`], (event) => {
          if (event.event === "check") passed.push(event.name);
        });
        assert.deepEqual(passed, CHECKS);
        assert.equal(await broker.terminate(), 0, broker.stderr);
      } finally {
        await broker.dispose();
      }
    });
  });
}
