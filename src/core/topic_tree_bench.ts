// What it costs to route by 100,000 topic bindings, µs per message, and to make and take away 100,000 bindings of several
// kinds, s. Run: bun src/core/topic_tree_bench.ts, deno run -A src/core/topic_tree_bench.ts

import process from "node:process";
import { Topology } from "./exchanges/exchange_testing.ts";

const BINDINGS = Number(process.argv[2] ?? 100_000);
const ROUTES = 200_000;

/** Median and 99th percentile of routing one message each by `keys`, in turn. */
function measureRoutes(name: string, topology: Topology, exchange: string, keys: readonly string[]): void {
  const samples = new Float64Array(ROUTES);
  let found = 0;
  for (let i = 0; i < ROUTES; i++) {
    const key = [keys[i * 7919 % keys.length]!];
    const begin = performance.now();
    found += topology.route(exchange, key).queues.length;
    samples[i] = performance.now() - begin;
  }
  samples.sort();
  // The clock of some runtimes is coarser than a route, so the mean is the figure for comparisons.
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / ROUTES;
  const at = (share: number) => (samples[Math.floor(ROUTES * share)]! * 1000).toFixed(2);
  console.log(
    `${name}: median ${at(0.5)} µs, 99 % ${at(0.99)} µs, mean ${(mean * 1000).toFixed(2)} µs, ` +
      `${(found / ROUTES).toFixed(2)} queues per message`,
  );
}

function timed(name: string, act: () => void): void {
  const begin = performance.now();
  act();
  console.log(`${name}: ${((performance.now() - begin) / 1000).toFixed(2)} s`);
}

function each(act: (index: number) => void): void {
  for (let index = 0; index < BINDINGS; index++) act(index);
}

const topology = new Topology();
for (const type of ["topic", "direct", "fanout", "headers"]) topology.declare(type, type);

// Sites, devices and events, as they are in real topologies; one in ten patterns has a wildcard.
const pattern = (index: number): string => {
  const [site, device, event] = [index % 50, Math.floor(index / 50), index % 7];
  if (index % 20 === 0) return `site${site}.*.device${device}.event${event}`;
  if (index % 20 === 10) return `site${site}.#.device${device}`;
  return `site${site}.floor${index % 9}.device${device}.event${event}`;
};
const topic = (index: number): string => {
  const [site, device, event] = [index % 50, Math.floor(index / 50), index % 7];
  return `site${site}.floor${index % 9}.device${device}.event${event}`;
};
timed(`${BINDINGS} topic bindings made`, () => each((i) => topology.bind("topic", `q${i % 1000}`, pattern(i))));
const topics = Array.from({ length: BINDINGS }, (_, index) => topic(index));
measureRoutes("topic, warm up", topology, "topic", topics);
measureRoutes("topic, many topics", topology, "topic", topics);
measureRoutes("topic, one topic", topology, "topic", topics.slice(0, 1));
timed(`${BINDINGS} topic bindings taken away`, () => each((i) => topology.unbind("topic", `q${i % 1000}`, pattern(i))));

timed(`${BINDINGS} direct bindings made, a key each`, () => each((i) => topology.bind("direct", "q", `key.${i}`)));
measureRoutes("direct", topology, "direct", Array.from({ length: BINDINGS }, (_, index) => `key.${index}`));
timed(`${BINDINGS} direct bindings taken away`, () => each((i) => topology.unbind("direct", "q", `key.${i}`)));
timed(`${BINDINGS} direct bindings made, all of one key`, () => each((i) => topology.bind("direct", `q${i}`, "key")));
timed(`${BINDINGS} direct bindings taken away`, () => each((i) => topology.unbind("direct", `q${i}`, "key")));
timed(`${BINDINGS} headers bindings made, one queue`, () => each((i) => topology.bind("headers", "q", "", { id: i })));
timed(`${BINDINGS} headers bindings taken away`, () => each((i) => topology.unbind("headers", "q", "", { id: i })));
