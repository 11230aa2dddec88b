// One publisher, then one consumer, that live through restarts of their broker; generic over the npm client in use.

import assert from "node:assert/strict";
import { type BodyPool, type Plan, sizeOf } from "./bodies.ts";
import type { Ledger } from "./ledger.ts";
import { waitFor } from "./wait.ts";

const RECONNECT_TIMEOUT_MS = 60_000;
const ACK_EVERY = 100;

export interface Delivery {
  tag: number;
  redelivered: boolean;
  messageId: string | undefined;
  body: Uint8Array;
}

/** The little that a restart test needs of a client, on one connection with one channel. */
export interface ClientSession {
  /** Settles when the connection is gone, for whatever reason; never rejects. */
  readonly closed: Promise<void>;
  declare(queue: string): Promise<void>;
  /** Resolves with the broker's confirm. */
  publish(queue: string, messageId: string, body: Buffer): Promise<void>;
  consume(queue: string, prefetch: number, deliver: (delivery: Delivery) => void): Promise<void>;
  ackUpTo(tag: number): void;
  /** Ready messages, by passive declare. */
  messageCount(queue: string): Promise<number>;
  close(): Promise<void>;
}

export interface Client {
  readonly name: string;
  open(uri: string): Promise<ClientSession>;
}

export interface Job {
  uri: string;
  queue: string;
  plan: Plan;
  pool: BodyPool;
  outstandingMax: number;
  prefetch: number;
  ledger: Ledger;
  /** How many messages from the first on are confirmed. */
  confirmed: number;
}

export async function publishThroughRestarts(client: Client, job: Job): Promise<void> {
  while (job.confirmed < job.plan.count) {
    const session = await reopen(client, job.uri);
    const sent = await publishUntilClosed(session, job);
    if (job.confirmed < job.plan.count) job.ledger.resumes.push({ from: job.confirmed, sent });
    else await session.close();
  }
}

/** Publishes from the first unconfirmed message on; gives the index after the last one sent. */
async function publishUntilClosed(session: ClientSession, job: Job): Promise<number> {
  const confirmed = new Set<number>();
  let next = job.confirmed;
  let open = true;
  let wake = () => {};
  void session.closed.then(() => {
    open = false;
    wake();
  });
  while (open && job.confirmed < job.plan.count) {
    while (open && next < job.plan.count && next - job.confirmed < job.outstandingMax) {
      const index = next++;
      session.publish(job.queue, String(index), job.pool.body(index, sizeOf(job.plan, index))).then(() => {
        confirmed.add(index);
        while (confirmed.delete(job.confirmed)) job.confirmed++;
        wake();
      }, () => {}); // the connection went; `closed` tells
    }
    if (open && job.confirmed < job.plan.count) await new Promise<void>((resolve) => wake = resolve);
  }
  return next;
}

export async function drainThroughRestarts(client: Client, job: Job): Promise<void> {
  for (let connects = 0;; connects++) {
    const session = await reopen(client, job.uri);
    const emptied = await drainUntilClosed(session, job, connects);
    if (emptied) {
      await session.close();
      return;
    }
  }
}

async function drainUntilClosed(session: ClientSession, job: Job, connects: number): Promise<boolean> {
  const last = job.plan.count - 1;
  let unacked = 0;
  let lastIndex = -1;
  const outcome = Promise.withResolvers<boolean>();
  void session.closed.then(() => outcome.resolve(false));
  const deliver = (delivery: Delivery) => {
    const index = Number(delivery.messageId);
    const intact = job.pool.matches(index, sizeOf(job.plan, index), delivery.body);
    assert.ok(intact, `message ${delivery.messageId}: contents differ (${delivery.body.length} B)`);
    job.ledger.deliver(index, delivery.redelivered, connects);
    lastIndex = index;
    if (++unacked < ACK_EVERY && index !== last) return;
    unacked = 0;
    session.ackUpTo(delivery.tag);
    // The queue's last message is always the last one published, perhaps more than once.
    if (index === last) {
      session.messageCount(job.queue).then((count) => {
        if (count === 0 && lastIndex === last) outcome.resolve(true);
      }, () => {});
    }
  };
  session.consume(job.queue, job.prefetch, (delivery) => {
    try {
      deliver(delivery);
    } catch (error) {
      outcome.reject(error);
    }
  }).catch(() => {}); // the connection went; `closed` tells
  return await outcome.promise;
}

export async function reopen(client: Client, uri: string): Promise<ClientSession> {
  return await waitFor("connection", () => client.open(uri).catch(() => undefined), RECONNECT_TIMEOUT_MS);
}
