import assert from "node:assert/strict";
import { test } from "node:test";
import { AmqpFault } from "../client/amqp_fault.ts";
import { ConnectFault } from "../runtime/fault.ts";
import { LoopbackRuntime } from "../runtime/loopback.ts";
import type { Conn, Runtime } from "../runtime/runtime.ts";
import { optionsOf, type PerfFlags } from "./options.ts";
import { PerfRun } from "./run.ts";
import { startSink } from "./sink.ts";

const DEFAULTS: PerfFlags = {
  uri: "amqp://sink:1",
  publishers: 1,
  consumers: 1,
  size: 16,
  prefetch: 0,
  confirm: 0,
  queue: "q",
  queues: 1,
  exchange: "",
  exchangeType: "direct",
  declare: true,
};

/** A run against the sink, and the sink's ends of the connections. */
async function runOf(flags: Partial<PerfFlags>, lines: string[] = []): Promise<{ run: PerfRun; conns: Conn[] }> {
  const runtime = new LoopbackRuntime();
  const conns: Conn[] = [];
  const watched: Runtime = Object.create(runtime, {
    listen: {
      value: (...[address, accept]: Parameters<Runtime["listen"]>) =>
        runtime.listen(address, (conn) => {
          conns.push(conn);
          return accept(conn);
        }),
    },
  });
  await startSink(watched, { host: "sink", port: 1 }, { bodyBytes: 16 });
  return { run: new PerfRun(runtime, optionsOf({ ...DEFAULTS, ...flags }), (line) => lines.push(line)), conns };
}

test("every publisher publishes its count, confirmed, and no message more", async () => {
  const { run } = await runOf({ publishers: 3, consumers: 0, count: 5_000, confirm: 100 });
  const result = await run.measure();
  assert.deepEqual([result.published, result.consumed, result.consumedPerSecond], [15_000, 0, 0]);
  assert.ok(result.publishedPerSecond > 0);
});

test("a run of consumers only ends when the count is consumed", async () => {
  const { run } = await runOf({ publishers: 0, consumers: 2, count: 10_000, ackEvery: 10 });
  const result = await run.measure();
  assert.ok(result.consumed >= 10_000 && result.published === 0, `${result.consumed}`);
  assert.equal(result.latencyMs, null, "the sink's bodies are not this run's");
});

test("what comes before the end of the warm-up does not count", async () => {
  const { run } = await runOf({ publishers: 0, warmUp: 0.05, duration: 0.05 });
  const result = await run.measure();
  assert.ok(result.consumed > 0);
  const perRun = result.consumedPerSecond * result.elapsedMs / 1000;
  assert.ok(perRun < result.consumed, `${perRun} of ${result.consumed} were measured`);
  assert.throws(() => optionsOf({ ...DEFAULTS, warmUp: 1, count: 1 }), /--warm-up and --count/);
});

test("a run without an end is ended by stop, and its rates are of the time before", async () => {
  const { run } = await runOf({ consumers: 0 });
  const measured = run.measure();
  setTimeout(() => run.stop(), 50);
  const result = await measured;
  assert.ok(result.published > 0);
  // The total also holds what followed.
  const before = result.publishedPerSecond * result.elapsedMs / 1000;
  assert.ok(before > 0 && before <= result.published * 1.05, `${before}, ${result.published}`);
});

test("a rate is kept by all publishers together", async () => {
  const { run } = await runOf({ publishers: 2, consumers: 0, rate: 2_000, duration: 0.25 });
  const { published, elapsedMs } = await run.measure();
  assert.ok(published > 0 && published <= 2 * elapsedMs + 2, `${published} messages in ${elapsedMs} ms`);
});

test("a connection that is lost ends the run with a fault", async () => {
  const { run, conns } = await runOf({ consumers: 0, rate: 10 });
  const measured = run.measure();
  const failed = assert.rejects(measured, (error) => error instanceof AmqpFault && /closed/.test(error.message));
  while (conns.length < 2) await new Promise((resolve) => setImmediate(resolve));
  conns[1]!.abort();
  await failed;
});

test("nobody listening is a connect fault", async () => {
  const run = new PerfRun(new LoopbackRuntime(), optionsOf({ ...DEFAULTS, count: 1 }), () => {});
  await assert.rejects(run.measure(), ConnectFault);
});
