import assert from "node:assert/strict";
import { test } from "node:test";
import { LoopbackRuntime } from "../runtime/loopback.ts";
import type { Conn } from "../runtime/runtime.ts";
import { ConnectionListener, type ServedConnection } from "./listener.ts";

/** Ends when it is told to, unless it is stubborn. */
class Served implements ServedConnection {
  readonly conn: Conn;
  readonly heard: string[] = [];
  readonly #gone: (connection: Served) => void;

  constructor(conn: Conn, gone: (connection: Served) => void) {
    this.conn = conn;
    this.#gone = gone;
  }

  onData(): void {}
  onDrain(): void {}

  onClose(): void {
    this.heard.push("closed");
    this.#gone(this);
  }

  tick(): void {
    this.heard.push("tick");
  }

  alarmsChanged(): void {
    this.heard.push("alarm");
  }
}

async function open(stop: (connection: Served) => void) {
  const runtime = new LoopbackRuntime({ lingerMs: 10 });
  const served: Served[] = [];
  const counts: number[] = [];
  let alarm: (() => void) | null = null;
  const listener = await ConnectionListener.open<Served>(runtime, { host: "127.0.0.1", port: 0 }, {
    alarms: {
      subscribe: (changed) => {
        alarm = changed;
        return () => void (alarm = null);
      },
    },
    accept: (conn, gone) => {
      served.push(new Served(conn, gone));
      return served.at(-1)!;
    },
    stop,
    counted: (count) => void counts.push(count),
  });
  const quiet = { onData: () => {}, onDrain: () => {}, onClose: () => {} };
  const connect = () => runtime.connect(listener.address, () => quiet);
  return { listener, served, counts, connect, alarm: () => alarm?.() };
}

test("a listener knows who is connected, tells them of alarms, and counts them", async () => {
  const { listener, served, counts, connect, alarm } = await open(({ conn }) => conn.close());
  const first = await connect();
  await connect();
  assert.deepEqual([listener.connectionCount, counts], [2, [1, 2]]);
  alarm();
  assert.deepEqual(served.map(({ heard }) => heard), [["alarm"], ["alarm"]]);
  first.abort();
  while (listener.connectionCount > 1) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(counts, [1, 2, 1]);
  await listener.close();
  assert.deepEqual([listener.connectionCount, counts.at(-1)], [0, 0]);
  alarm();
  assert.ok(served.every(({ heard }) => heard.at(-1) === "closed"), "nobody is told anything any more");
  await assert.rejects(connect(), "nobody is accepted any more");
});

test("who does not end when the broker stops is cut off", async () => {
  const told: Served[] = [];
  const { listener, served, connect } = await open((connection) => void told.push(connection));
  await connect();
  await listener.close();
  assert.deepEqual(told, served);
  while (served[0]!.heard.at(-1) !== "closed") await new Promise((resolve) => setImmediate(resolve));
  assert.equal(listener.connectionCount, 0);
});

test("connections tick", async () => {
  const { listener, served, connect } = await open(({ conn }) => conn.close());
  await connect();
  while (!served[0]!.heard.includes("tick")) await new Promise((resolve) => setTimeout(resolve, 10));
  await listener.close();
});
