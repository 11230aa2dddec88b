// `npm run bench`: every row against every broker, in turns, several rounds; prints a table and writes a JSON file.
//
//   --brokers bun,deno,executable,sink,rabbitmq,mosquitto   what is measured (sink: the generator's own ceiling)
//   --rows TEXT      rows whose name holds TEXT; may be given several times
//   --rounds N       default 3
//   --seconds S      length of a run by time, default 5
//   --json FILE      default dist/bench.json

import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { BROKER_NAMES, type BrokerName, RunningBroker } from "./brokers.ts";
import { measure } from "./measure.ts";
import { ROWS } from "./rows.ts";
import { matrix, type Sample } from "./table.ts";

const LEVERET: readonly BrokerName[] = ["bun", "deno", "executable"];

const { rows, names, rounds, seconds, file } = options();
const samples: Sample[] = [];
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1));
for (let round = 1; round <= rounds; round++) {
  // Anew in each round: what a broker has learned or kept in one is none of the next one's.
  const brokers = await startAll(names);
  try {
    for (const row of rows) {
      for (const broker of brokers) {
        if ((row.relativeTo !== undefined || row.own) && !LEVERET.includes(broker.name)) continue;
        const measured = await measure(row, broker, seconds);
        if (measured === null) continue;
        const sample = { row: row.name, broker: broker.name, round, ...measured };
        samples.push(sample);
        const rate = Math.round(sample[row.rate]).toLocaleString("en-US");
        console.error(`round ${round}, ${row.name}, ${broker.name}: ${rate}/s, ${sample.cpuUs.toFixed(2)} µs`);
      }
    }
  } finally {
    await Promise.all(brokers.map((broker) => broker.stop()));
  }
}
mkdirSync(dirname(file), { recursive: true });
const machine = { processors: cpus().length, model: cpus()[0]?.model, memoryBytes: totalmem() };
writeFileSync(file, `${JSON.stringify({ date: new Date().toISOString(), machine, rounds, seconds, samples })}\n`);
console.log(matrix(samples));
process.exit(0);

function options() {
  try {
    const { values } = parseArgs({
      options: {
        brokers: { type: "string", default: BROKER_NAMES.join(",") },
        rows: { type: "string", multiple: true, default: [""] },
        rounds: { type: "string", default: "3" },
        seconds: { type: "string", default: "5" },
        json: { type: "string", default: "dist/bench.json" },
      },
    });
    const names = values.brokers.split(",").map((text) => {
      const name = BROKER_NAMES.find((known) => known === text);
      if (name === undefined) throw new Error(`--brokers takes ${BROKER_NAMES.join(", ")}, not '${text}'`);
      return name;
    });
    const rows = ROWS.filter(({ name }) => values.rows.some((text) => name.includes(text)));
    if (rows.length === 0) throw new Error(`no row's name holds '${values.rows.join("' or '")}'`);
    const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
    if (!(Number.isInteger(rounds) && rounds > 0)) throw new Error("--rounds takes a whole number above 0");
    if (!(seconds > 0)) throw new Error("--seconds takes a number above 0");
    return { rows, names, rounds, seconds, file: values.json };
  } catch (error) {
    console.error(`bench: ${(error as Error).message}`);
    return process.exit(2);
  }
}

async function startAll(names: readonly BrokerName[]): Promise<RunningBroker[]> {
  const brokers: RunningBroker[] = [];
  for (const name of names) {
    const broker = await RunningBroker.start(name);
    if (broker === null) console.error(`${name} is not installed here: left out`);
    else brokers.push(broker);
  }
  return brokers;
}
