// The broker of a protocol test: in the test's own process, or dist/leveret (LEVERET_TEST_PROTOCOL=executable), over real
// TCP either way. A fault of the broker fails the test that stops it.

import assert from "node:assert/strict";
import process from "node:process";
import { Broker } from "../../src/mod.ts";
import { BrokerProcess } from "./broker_process.ts";

export interface RunningBrokerOptions {
  /** In memory without one. */
  dataDir?: string;
  messageBytesMax?: number;
}

export interface RunningBroker {
  readonly port: number;
  /** In good order. */
  stop(): Promise<void>;
  /**
   * Leaves it for dead. The executable is killed; a broker in this process lives on in its directory until `stop`, and
   * who wants to go on has to do so with a copy of the files: then `isGone` is false.
   */
  abandon(): Promise<void>;
  readonly isGone: boolean;
}

export function startBroker(options: RunningBrokerOptions): Promise<RunningBroker> {
  return process.env.LEVERET_TEST_PROTOCOL === "executable" ? startExecutable(options) : startInProcess(options);
}

async function startInProcess({ dataDir, messageBytesMax }: RunningBrokerOptions): Promise<RunningBroker> {
  const faults: Error[] = [];
  const amqp = messageBytesMax === undefined ? { port: 0 } : { port: 0, messageBytesMax };
  const config = dataDir === undefined ? { memory: true, amqp } : { dataDir, amqp };
  const broker = new Broker(config, { onFault: (fault) => faults.push(fault) });
  await broker.start();
  return {
    port: broker.listeners[0]!.port,
    isGone: false,
    abandon: () => Promise.resolve(),
    async stop() {
      await broker.stop();
      assert.deepEqual(faults, []);
    },
  };
}

async function startExecutable({ dataDir, messageBytesMax }: RunningBrokerOptions): Promise<RunningBroker> {
  // At this level whatever is logged is a fault.
  const args = ["--log-level", "error", ...(dataDir === undefined ? ["--memory"] : [])];
  const environment: Record<string, string> = {};
  if (messageBytesMax !== undefined) environment["LEVERET_AMQP_MAX_MESSAGE_SIZE"] = `${messageBytesMax}`;
  const broker = await BrokerProcess.start("executable", { args, environment, ...(dataDir && { dataDir }) });
  let isGone = false;
  return {
    port: broker.port,
    get isGone() {
      return isGone;
    },
    async abandon() {
      isGone = true;
      await broker.kill9();
    },
    async stop() {
      if (!isGone) assert.equal(await broker.terminate(), 0, broker.stderr);
      assert.equal(broker.stderr, "");
      await broker.dispose();
    },
  };
}
