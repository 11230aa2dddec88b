// T01: kill -9, again and again, under load.

import { RawAmqp } from "../support/raw_amqp.ts";
import { PERSISTENT } from "../support/raw_bytes.ts";
import { basic, confirm, queue } from "../support/raw_methods.ts";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";
import { buildMutant, type Mutant } from "./mutant.ts";

const COUNT = 100;

/** Waiters are told before what they wait for has left memory. */
const CONFIRMS_AHEAD: Mutant = {
  name: "confirm-ahead",
  edits: [{
    file: "store/group_commit.ts",
    find: `  endTurn(): void {
    this.flush();
`,
    replace: `  endTurn(): void {
    this.#seal();
    this.#tell();
    setTimeout(() => this.flush(), 200);
    return;
`,
  }],
};

export const killLoop: FaultCase = {
  name: "T01",
  title: "kill -9",
  needs: [],
  run: kill,
  control: {
    what: "confirms before the bytes are in the file",
    run: (context) => kill({ ...context, mutant: buildMutant(CONFIRMS_AHEAD) }),
  },
};

async function kill(context: FaultContext): Promise<FaultResult> {
  const broker = await startFaultBroker(context);
  try {
    const client = await RawAmqp.open(broker.port, { channels: 1 });
    await client.call("queue.declare-ok", queue.declare(1, "q", { durable: true }));
    await client.call("confirm.select-ok", confirm.select(1));
    for (let index = 0; index < COUNT; index++) client.send(basic.publish(1, "q", `${index}`, PERSISTENT));
    for (let confirmed = 0; confirmed < COUNT;) confirmed = (await client.reply("basic.ack")).args.longlong();
    await broker.kill9();
    client.reset();
    await broker.restart();
    const again = await RawAmqp.open(broker.port, { channels: 1 });
    const declared = await again.call("queue.declare-ok", queue.declare(1, "q", { durable: true }));
    declared.shortString();
    const lost = COUNT - declared.long();
    await again.close();
    const failures = lost === 0 ? [] : [`${lost} confirmed messages are lost`];
    return { lost, phantom: 0, counts: `1 kill, ${COUNT} confirmed`, failures };
  } finally {
    await broker.dispose();
  }
}
