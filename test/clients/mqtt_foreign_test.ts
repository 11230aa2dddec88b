// What MQTT programs in Python, Go and Java rely on, each with the client library usual there; and what a kill leaves.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { BrokerProcess, SharedBroker, testTargets } from "../support/broker_process.ts";
import { mqttClients, runsForeignClients } from "./foreign_clients.ts";

const TEST_TIMEOUT_MS = 400_000;
const EACH = ["every_qos", "retained", "will", "session"];
const all = (...versions: string[]) => versions.flatMap((version) => EACH.map((name) => `${name} ${version}`));

const CHECKS: Readonly<Record<string, readonly string[]>> = {
  "paho (Python)": [...all("3.1", "3.1.1", "5.0"), "properties 5.0"],
  "paho (Go)": all("3.1", "3.1.1"),
  "HiveMQ's client (Java)": [...all("5.0"), "properties 5.0"],
};

for (const target of runsForeignClients ? testTargets() : []) {
  describe(`MQTT clients in other languages against ${target}`, () => {
    const shared = new SharedBroker(target);
    after(() => shared.dispose());

    for (const client of mqttClients) {
      const skip = client.missing;
      const suffix = skip === undefined ? "" : ` (${skip}: skipped)`;

      it(`${client.name} gets all it relies on${suffix}`, { timeout: TEST_TIMEOUT_MS, skip }, async () => {
        client.install();
        const { mqttPort } = await shared.get();
        const passed: string[] = [];
        await client.runWith(["phase=core", `port=${mqttPort}`], (event) => {
          if (event.event === "check") passed.push(event.name);
        });
        assert.deepEqual(passed, CHECKS[client.name]);
      });

      it(
        `${client.name} finds what was acknowledged after kill -9${suffix}`,
        { timeout: TEST_TIMEOUT_MS, skip },
        async () => {
          client.install();
          const broker = await BrokerProcess.start(target);
          try {
            const passed: string[] = [];
            for (const phase of ["before", "after"]) {
              await client.runWith([`phase=${phase}`, `port=${broker.mqttPort}`], (event) => {
                if (event.event === "check") passed.push(event.name);
              });
              if (phase === "after") break;
              await broker.kill9();
              await broker.restart();
            }
            assert.deepEqual(passed, ["acknowledged", "all there"]);
          } finally {
            await broker.dispose();
          }
        },
      );
    }
  });
}
