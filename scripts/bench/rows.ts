// The rows of the matrix: what the load generator is told.

import type { Protocol } from "./brokers.ts";

export interface Row {
  readonly name: string;
  readonly protocol: Protocol;
  /** Arguments of `leveret perf amqp` or `leveret perf mqtt` but for the URI and the length of the run. */
  readonly args: readonly string[];
  /** So many messages of each publisher, or to consume as many as the row before it has published; otherwise by time. */
  readonly count?: number | "what was published";
  /** What counts: messages that arrived, or that were taken in. */
  readonly rate: "consumed" | "published";
  /** Another row, of which this one is a part of the rate: for Leveret alone, others would take hours. */
  readonly relativeTo?: string;
  /** For Leveret alone. */
  readonly own?: true;
}

const AUTO = ["--autoack"];
const PERSISTENT = ["--persistent"];
const CONFIRM = ["--persistent", "--confirm", "1000"];
const FOUR = ["--publishers", "4", "--consumers", "4"];
const KIB = ["--size", "1024"];
const PREFETCH = ["--prefetch", "1000"];
/** The sessions outlive their connections, so that everything has to be on disk. */
const QOS_1 = ["--qos", "1", "--persistent"];
/** Rates are of programs that are compiled, and so are latencies, at a rate at which that takes longer. */
const RUNNING = ["--warm-up", "2"];
const WARM = ["--warm-up", "10"];
/** Until the kernel's buffers of all connections are full: before that much of the time goes into filling them. */
const FULL = ["--warm-up", "16"];
const MANY = 10_000_000;

const PLAIN = "1/1, 16 B, persistent";
const FILL = "fill a declared queue, 16 B";
const DRAIN = "then drain it, 16 B";

export const ROWS: readonly Row[] = [
  row(PLAIN, AUTO, PERSISTENT),
  row("1/1, 16 B, transient", AUTO),
  row("1/1, 16 B, persistent, confirm 1000", AUTO, CONFIRM),
  row("1/1, 1 KiB, persistent", AUTO, PERSISTENT, KIB),
  row("1/1, 1 KiB, persistent, confirm 1000", AUTO, CONFIRM, KIB),
  row("4/4, one queue, 16 B, persistent", AUTO, PERSISTENT, FOUR),
  row("4/4, 16 B, persistent, confirm 1000", AUTO, CONFIRM, FOUR),
  row("4/4, four queues, 16 B", AUTO, PERSISTENT, FOUR, ["--queues", "4"]),
  row("4/4, 1 KiB, persistent", AUTO, PERSISTENT, FOUR, KIB),
  row("4/4, 1 KiB, persistent, confirm 1000", AUTO, CONFIRM, FOUR, KIB),
  row("1/1, 16 B, ack every 100, prefetch 1000", PERSISTENT, PREFETCH, ["--ack-every", "100"]),
  row("1/1, 16 B, ack each, prefetch 1000", PERSISTENT, PREFETCH),
  row("1/1, 16 B, ack each, prefetch 1000, confirm 1000", PREFETCH, CONFIRM),
  row("1/1, 16 B, confirm one at a time", AUTO, PERSISTENT, ["--confirm", "1"]),
  row("4/4, 16 B, ack each, confirm one at a time", FOUR, PERSISTENT, PREFETCH, ["--confirm", "1"]),
  row("10,000/s, 16 B, transient", AUTO, WARM, ["--rate", "10000"]),
  { ...row("half of what it can, 16 B, transient", AUTO, WARM, ["--rate", "500000"]), own: true },
  fill(FILL),
  drain(DRAIN),
  { ...row("1,000 queues, 16 B, persistent", AUTO, PERSISTENT, ["--queues", "1000"]), relativeTo: PLAIN },
  {
    ...row("500/500, 16 B, persistent", AUTO, PERSISTENT, ["--publishers", "500", "--consumers", "500"], FULL),
    relativeTo: PLAIN,
  },
  {
    ...row("100 bindings, 16 B, persistent", AUTO, PERSISTENT, ["--exchange", "bench", "--queues", "100"]),
    relativeTo: PLAIN,
  },
  { ...fill("fill with 10 million, 16 B", MANY), relativeTo: FILL },
  { ...drain("then drain 10 million, 16 B"), relativeTo: DRAIN },
  ...["16", "1024"].flatMap((size) => [
    mqtt(`MQTT 1/1, ${size} B, QoS 0`, "--size", size),
    mqtt(`MQTT 1/1, ${size} B, QoS 1`, "--size", size, ...QOS_1),
    mqtt(`MQTT 4/4, ${size} B, QoS 0`, "--size", size, ...FOUR),
    mqtt(`MQTT 4/4, ${size} B, QoS 1`, "--size", size, ...FOUR, ...QOS_1),
  ]),
  mqtt("MQTT 1/1, 16 B, QoS 1, one at a time", ...QOS_1, "--inflight", "1"),
  mqtt("MQTT 4/4, 16 B, QoS 1, one at a time", ...FOUR, ...QOS_1, "--inflight", "1"),
  mqtt("MQTT 1/100, 16 B, QoS 0", "--consumers", "100"),
];

function row(name: string, ...args: readonly (readonly string[])[]): Row {
  const words = args.flat();
  const warmUp = words.includes("--warm-up") ? [] : RUNNING;
  return { name, protocol: "amqp", args: [...words, ...warmUp], rate: "consumed" };
}

function mqtt(name: string, ...args: readonly string[]): Row {
  return { name, protocol: "mqtt", args, rate: "consumed" };
}

function fill(name: string, count?: number): Row {
  const args = [...PERSISTENT, "--consumers", "0", "--keep-queue"];
  return { name, protocol: "amqp", args, ...(count === undefined ? {} : { count }), rate: "published" };
}

function drain(name: string): Row {
  const args = [...AUTO, "--publishers", "0"];
  return { name, protocol: "amqp", args, count: "what was published", rate: "consumed" };
}
