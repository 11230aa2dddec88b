// What it takes to answer pages of a list of 50,000 queues, ms of processor time, and for how long at most the loop is held
// by it, ms. Run: bun src/http/list_bench.ts, deno run -A src/http/list_bench.ts

import process from "node:process";
import { Broker } from "../broker.ts";

const QUEUES = Number(process.argv[2] ?? 50_000);
const ROUNDS = Number(process.argv[3] ?? 15);
/** Samples cost the processor, too. */
const SAMPLE_MS = 15_000;
const LAST = Math.floor(QUEUES / 100);
const RATE = "message_stats.publish_details.rate";
const QUERIES: Readonly<Record<string, string>> = {
  "first page": "page=1",
  "middle page": `page=${LAST / 2}`,
  "last page": `page=${LAST}`,
  "500 a page, by name, backwards": "page=20&page_size=500&sort=name&sort_reverse=true",
  "by messages": "page=1&sort=messages&sort_reverse=true",
  "by messages, middle page": `page=${LAST / 2}&sort=messages`,
  "by publish rate": `page=1&sort=${RATE}&sort_reverse=true`,
  "by publish rate, middle page": `page=${LAST / 2}&sort=${RATE}&sort_reverse=true`,
  "by deliver_get rate, last page": `page=${LAST}&sort=message_stats.deliver_get_details.rate`,
  "by messages_details.rate": "page=3&sort=messages_details.rate",
  "by an argument, middle page": `page=${LAST / 2}&sort=arguments.x-max-length`,
  "by effective policy": "page=2&sort=effective_policy_definition.max-length",
  "names with a text": "page=1&name=77",
  "names of a pattern": `page=3&use_regex=true&name=${encodeURIComponent("^q-[0-9]*[13579]$")}`,
  "a pattern, by publish rate": `page=9&use_regex=true&name=${encodeURIComponent("^q-.*[13579]$")}&sort=${RATE}`,
};

const broker = new Broker({ memory: true, amqp: { port: -1 }, http: { port: 0 }, statsIntervalMs: SAMPLE_MS });
await broker.start();
const { realm } = broker.management;
const vhost = realm.vhost("/");
for (let i = 0; i < QUEUES; i++) {
  const number = i * 7919 % QUEUES;
  const args = new Map([["x-max-length", number % 1000]]);
  vhost.declareQueue(`q-${number}`, { durable: false, autoDelete: false, exclusive: false, args }, {});
}
const { port } = broker.listeners[0]!;

async function ask(query: string): Promise<void> {
  const url = `http://127.0.0.1:${port}/api/queues?${query}`;
  const response = await fetch(url, { headers: { authorization: `Basic ${btoa("guest:guest")}` } });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${query}: ${text}`);
}

/** The longest time for which others had to wait, while `act` runs. */
async function held(act: () => Promise<void>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  let running = true;
  const look = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (running) setImmediate(look);
  };
  setImmediate(look);
  await act();
  running = false;
  return longest;
}

/** Of the quicker half the middle: in the other one other processes may have had the processor. */
function quartile(samples: number[]): number {
  return samples.toSorted((a, b) => a - b)[samples.length >> 2]!;
}

/** Every queue has some traffic until the next sample. */
function stir(): void {
  for (const [index, queue] of [...vhost.queues.values()].entries()) {
    queue.counters.publish += index * 31 % 977;
    queue.counters.deliver += index * 17 % 331;
  }
}

stir();
await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
for (const [name, query] of Object.entries(QUERIES)) {
  stir();
  for (let i = 0; i < 3; i++) await ask(query);
  const cpu: number[] = [];
  const wall: number[] = [];
  const holds: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const before = process.cpuUsage();
    const begin = performance.now();
    await ask(query);
    wall.push(performance.now() - begin);
    const { user, system } = process.cpuUsage(before);
    cpu.push((user + system) / 1000);
    holds.push(await held(() => ask(query)));
  }
  const [cpuMs, wallMs, heldMs] = [cpu, wall, holds].map((samples) => quartile(samples).toFixed(1).padStart(6));
  console.log(`${name.padEnd(32)} processor ${cpuMs}   wall ${wallMs}   held ${heldMs}`);
}
await broker.stop();
process.exit(0);
