// What a load consists of: queues, where publishers publish to, how fast. Made by a case, read by the load's process.

import type { Book } from "./ledger.ts";

export interface QueuePlan extends Book {
  /** Arguments of the declaration. */
  readonly args: Readonly<Record<string, string | number>>;
}

export interface LoadPlan {
  readonly seed: number;
  readonly publishers: number;
  readonly queues: readonly QueuePlan[];
  /** Which queues a message goes to, a bit each; a publisher takes one at random. */
  readonly routes: readonly number[];
  /** Messages a second of each publisher, at most. */
  readonly ratePerSecond: number;
  /** Unconfirmed messages of each publisher. */
  readonly window: number;
  /** Publishers wait while so many messages are undelivered. */
  readonly backlogMax: number;
  /** Consumers hold up to so many back before they settle. */
  readonly holdMax: number;
  /** Part of the deliveries that is given back instead of acknowledged. */
  readonly giveBack: number;
  /** Somebody declares, binds and deletes queues all the time. */
  readonly topology: boolean;
  /** Consumers consume. Without them everything stays until the end. */
  readonly consuming: boolean;
  /** The times of each message are kept. */
  readonly timed: boolean;
}

export const EXCHANGE = "faults";

/** The routing key of a route; the exchange's bindings lead each to its queues. */
export function keyOf(route: number): string {
  return `route-${route}`;
}

const CLASSIC: QueuePlan = { name: "one", isStream: false, lanes: 1, consumers: 1, args: {} };
const SHARED: QueuePlan = { name: "shared", isStream: false, lanes: 1, consumers: 2, args: {} };
const PRIORITY: QueuePlan = {
  name: "priority",
  isStream: false,
  lanes: 3,
  consumers: 1,
  args: { "x-max-priority": 3 },
};
const STREAM: QueuePlan = {
  name: "stream",
  isStream: true,
  lanes: 1,
  consumers: 1,
  args: { "x-queue-type": "stream" },
};

/** Four kinds of queues; most messages go to one, some to several. */
export const MIXED: LoadPlan = {
  seed: 0,
  publishers: 4,
  queues: [CLASSIC, SHARED, PRIORITY, STREAM],
  routes: [0b0001, 0b0010, 0b0010, 0b0100, 0b1000, 0b0011, 0b1111],
  ratePerSecond: 5_000,
  window: 500,
  backlogMax: 20_000,
  holdMax: 100,
  giveBack: 0.02,
  topology: false,
  consuming: true,
  timed: false,
};

/** Publishers wait for each confirm, consumers settle at once: most messages are settled before they are written. */
export const IN_STEP: LoadPlan = {
  ...MIXED,
  queues: [CLASSIC, SHARED, PRIORITY],
  routes: [0b001, 0b010, 0b100, 0b011, 0b111],
  window: 1,
  holdMax: 0,
};
