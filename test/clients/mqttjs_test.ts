// mqtt.js, the client of Node programs, against every target.

import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { connect, type IClientOptions, type IPublishPacket, type MqttClient } from "mqtt";
import { BrokerProcess, SharedBroker, testTargets } from "../support/broker_process.ts";
import { Inbox, waitFor, within } from "../support/wait.ts";

const TEST_TIMEOUT_MS = 120_000;

interface Got {
  topic: string;
  payload: string;
  packet: IPublishPacket;
}

for (const target of testTargets()) {
  describe(`mqtt.js against ${target}`, { timeout: TEST_TIMEOUT_MS }, () => {
    const shared = new SharedBroker(target);
    const clients: MqttClient[] = [];
    after(async () => {
      for (const client of clients) await client.endAsync(true);
      await shared.dispose();
    });

    async function open(options: IClientOptions = {}, port?: number): Promise<MqttClient & { inbox: Inbox<Got> }> {
      const client = connect(`mqtt://127.0.0.1:${port ?? (await shared.get()).mqttPort}`, {
        username: "guest",
        password: "guest",
        reconnectPeriod: 0,
        ...options,
      });
      clients.push(client);
      const inbox = new Inbox<Got>();
      client.on("message", (topic, payload, packet) => inbox.push({ topic, payload: String(payload), packet }));
      await within(
        "connect",
        new Promise<void>((resolve, reject) => {
          client.once("connect", () => resolve());
          client.once("error", reject);
        }),
      );
      return Object.assign(client, { inbox });
    }

    for (const protocolVersion of [3, 4, 5] as const) {
      const version: IClientOptions = { protocolVersion, ...(protocolVersion === 3 && { protocolId: "MQIsdp" }) };

      it(`level ${protocolVersion}: every QoS both ways, in order`, { timeout: TEST_TIMEOUT_MS }, async () => {
        const subscriber = await open(version);
        await subscriber.subscribeAsync(`js/${protocolVersion}/#`, { qos: 2 });
        const publisher = await open(version);
        for (const qos of [0, 1, 2] as const) {
          const sent: Promise<unknown>[] = [];
          for (let index = 0; index < 200; index++) {
            sent.push(publisher.publishAsync(`js/${protocolVersion}/${qos}`, String(index), { qos }));
          }
          await Promise.all(sent);
          const got = await subscriber.inbox.take(200);
          assert.deepEqual(got.map(({ payload }) => payload), [...Array(200).keys()].map(String));
          assert.ok(got.every(({ packet }) => packet.qos === qos));
        }
      });

      it(`level ${protocolVersion}: retained, will, session`, { timeout: TEST_TIMEOUT_MS }, async () => {
        const publisher = await open(version);
        await publisher.publishAsync(`js/kept/${protocolVersion}`, "kept", { qos: 1, retain: true });
        const watcher = await open(version);
        await watcher.subscribeAsync([`js/kept/${protocolVersion}`, `js/will/${protocolVersion}`], { qos: 1 });
        const { payload, packet } = await watcher.inbox.next();
        assert.deepEqual([payload, packet.retain], ["kept", true]);
        const will = {
          topic: `js/will/${protocolVersion}`,
          payload: Buffer.from("gone"),
          qos: 1 as const,
          retain: false,
        };
        const dying = await open({ ...version, will });
        dying.stream.destroy();
        assert.equal((await watcher.inbox.next()).payload, "gone");

        const persistent: IClientOptions = {
          ...version,
          clientId: `js-session-${protocolVersion}`,
          clean: false,
          ...(protocolVersion === 5 && { properties: { sessionExpiryInterval: 600 } }),
        };
        const first = await open(persistent);
        await first.subscribeAsync(`js/wait/${protocolVersion}`, { qos: 1 });
        await first.endAsync();
        await publisher.publishAsync(`js/wait/${protocolVersion}`, "waited", { qos: 1 });
        const second = await open(persistent);
        assert.equal((await second.inbox.next()).payload, "waited");
      });
    }

    it("MQTT 5: properties, identifiers, aliases, shared subscriptions", { timeout: TEST_TIMEOUT_MS }, async () => {
      const subscriber = await open({ protocolVersion: 5, properties: { topicAliasMaximum: 5 } });
      await subscriber.subscribeAsync("js/5", { qos: 1, properties: { subscriptionIdentifier: 9 } });
      const publisher = await open({ protocolVersion: 5, autoUseTopicAlias: true, autoAssignTopicAlias: true });
      const properties = {
        contentType: "text/plain",
        responseTopic: "js/answer",
        correlationData: Buffer.from([0, 1, 255]),
        userProperties: { a: ["1", "2"], b: "3" },
      };
      for (let index = 0; index < 3; index++) await publisher.publishAsync("js/5", "x", { qos: 1, properties });
      for (const { topic, packet } of await subscriber.inbox.take(3)) {
        assert.equal(topic, "js/5");
        assert.equal(packet.properties?.contentType, "text/plain");
        assert.equal(packet.properties?.responseTopic, "js/answer");
        assert.deepEqual([...packet.properties?.correlationData ?? []], [0, 1, 255]);
        assert.deepEqual({ ...packet.properties?.userProperties }, { a: ["1", "2"], b: "3" });
        assert.equal(packet.properties?.subscriptionIdentifier, 9);
      }
      const members = [await open({ protocolVersion: 5 }), await open({ protocolVersion: 5 })];
      for (const member of members) await member.subscribeAsync("$share/js/jobs", { qos: 1 });
      for (let index = 0; index < 10; index++) await publisher.publishAsync("jobs", String(index), { qos: 1 });
      for (const member of members) await member.inbox.take(5);
    });

    it("what was acknowledged is there after kill -9, every message once", { timeout: TEST_TIMEOUT_MS }, async () => {
      const broker = await BrokerProcess.start(target);
      try {
        const persistent: IClientOptions = { clientId: "js-kill", clean: false };
        const first = await open(persistent, broker.mqttPort);
        await first.subscribeAsync({ "js/kill/1": { qos: 1 }, "js/kill/2": { qos: 2 } });
        await first.endAsync();
        const publisher = await open({}, broker.mqttPort);
        publisher.on("error", () => {});
        const acknowledged = new Set<string>();
        let stopped = false;
        for (let index = 0; index < 2000; index++) {
          const qos = index % 2 === 0 ? 1 : 2;
          publisher.publish(`js/kill/${qos}`, String(index), { qos }, (error) => {
            if (!error && !stopped) acknowledged.add(String(index));
          });
        }
        await waitFor("some acknowledgements", () => acknowledged.size > 100);
        await broker.kill9();
        stopped = true;
        await broker.restart();
        const second = await open(persistent, broker.mqttPort);
        const seen = new Set<string>();
        await waitFor("all that was acknowledged", () => {
          for (const { payload } of second.inbox.waiting.splice(0)) {
            assert.ok(!seen.has(payload), `${payload} came twice`);
            seen.add(payload);
          }
          return [...acknowledged].every((payload) => seen.has(payload));
        });
      } finally {
        await broker.dispose();
      }
    });
  });
}
