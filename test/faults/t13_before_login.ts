// T13: peers that have not said who they are announce, or send, far more than a handshake needs. They are closed at once,
// or when the handshake's time is over, and the broker never holds what they send.

import { connect, type Socket } from "node:net";
import { RawAmqp } from "../support/raw_amqp.ts";
import { frame, HEARTBEAT, long, octet, PROTOCOL_HEADER, short } from "../support/raw_bytes.ts";
import { waitFor } from "../support/wait.ts";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";
import { buildMutant, type Mutant } from "./mutant.ts";
import { inMib, MIB, WatchedMemory } from "./watched_memory.ts";

const SOCKETS = { full: 1000, short: 300 };
const MEMORY_BYTES_MAX = 64 * MIB;
const AT_ONCE = 50;
const HANDSHAKE_MS = 3000;
/** What each sends at most. That it is read and dropped leaves as much for the collector, which is not held. */
const SENT_BYTES = 64 * 1024;
const FULL_FRAME_BYTES = 8 * 1024;

/** A frame may be as long as it likes from the first one on. */
const NO_CAP: Mutant = {
  name: "no-cap-before-login",
  edits: [{
    file: "limits.ts",
    find: "export const PRE_AUTH_FRAME_BYTES_MAX = 8 * 1024;",
    replace: "export const PRE_AUTH_FRAME_BYTES_MAX = 2 ** 33;",
  }],
};

const zeros = (count: number): Buffer => Buffer.alloc(count);
const head = (type: number, bytes: number): Buffer => Buffer.concat([octet(type), short(0), long(bytes)]);

interface Kind {
  readonly name: string;
  /** Sent behind the protocol header; then SENT_BYTES of `more`, again and again. */
  readonly first: Buffer;
  readonly more: Buffer;
  /** Closed by what it sends, not only by the clock. */
  readonly atOnce: boolean;
}

const KINDS: readonly Kind[] = [
  { name: "a method of 4 GiB", first: head(1, 0xffff_ffff), more: zeros(65_536), atOnce: true },
  { name: "a body of 4 GiB", first: head(3, 0xffff_ffff), more: zeros(65_536), atOnce: true },
  { name: "body frames", first: zeros(0), more: frame(3, 0, zeros(FULL_FRAME_BYTES - 8)), atOnce: true },
  { name: "headers", first: zeros(0), more: frame(2, 0, zeros(1000)), atOnce: true },
  { name: "heartbeats", first: zeros(0), more: frame(HEARTBEAT, 0), atOnce: false },
  { name: "a frame that is never whole", first: head(1, FULL_FRAME_BYTES - 8), more: zeros(1), atOnce: false },
];

export const beforeLogin: FaultCase = {
  name: "T13",
  title: "memory before login",
  needs: [],
  run: press,
  control: {
    what: "no limit for frames before login",
    run: (context) => press({ ...context, mutant: buildMutant(NO_CAP) }),
  },
};

async function press(context: FaultContext): Promise<FaultResult> {
  const failures: string[] = [];
  const sockets = SOCKETS[context.full ? "full" : "short"];
  const broker = await startFaultBroker(context, {
    args: ["--log-level", "error"],
    environment: { LEVERET_AMQP_HANDSHAKE_TIMEOUT: `${HANDSHAKE_MS}` },
  });
  const memory = new WatchedMemory(() => broker.pid);
  const presses: Press[] = [];
  let slowestMs = 0;
  let grown = 0;
  try {
    await (await RawAmqp.open(broker.port)).close();
    for (const kind of KINDS) {
      // Those of one kind at a time: together they would hold as much only for a moment.
      const batch: Press[] = [];
      memory.begin();
      // What the kind before has left to the collector is not this one's.
      const before = memory.highest;
      while (batch.length < sockets) {
        const count = Math.min(AT_ONCE, sockets - batch.length);
        batch.push(...await Promise.all(Array.from({ length: count }, () => Press.open(broker.port, kind))));
      }
      presses.push(...batch);
      const isClosed = () => batch.every((one) => one.closedMs > 0);
      await waitFor(kind.name, isClosed, kind.atOnce ? HANDSHAKE_MS / 2 : 30_000).catch(() => {});
      const left = batch.filter((one) => one.closedMs === 0).length;
      if (left > 0) failures.push(`${left} connections were still open, sending ${kind.name}`);
      slowestMs = Math.max(slowestMs, ...batch.map((one) => one.closedMs - one.openedMs));
      const cost = memory.highest - before;
      grown = Math.max(grown, cost);
      if (cost > MEMORY_BYTES_MAX) failures.push(`${kind.name} cost ${inMib(cost)}`);
      for (const one of batch) one.socket.destroy();
      if (failures.length > 0) break;
    }
    await (await RawAmqp.open(broker.port, { channels: 1 })).close();
    if (broker.stderr !== "") failures.push(`the broker said: ${broker.stderr.slice(0, 300)}`);
    const counts = `${KINDS.length} times ${sockets} sockets, closed after at most ${slowestMs.toFixed(0)} ms, ` +
      `${inMib(grown)} more memory`;
    return { lost: 0, phantom: 0, counts, failures };
  } finally {
    memory.stop();
    for (const one of presses) one.socket.destroy();
    await broker.dispose();
  }
}

class Press {
  readonly socket: Socket;
  readonly openedMs = performance.now();
  closedMs = 0;

  static open(port: number, kind: Kind): Promise<Press> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1" });
      socket.once("connect", () => resolve(new Press(socket, kind)));
      socket.once("error", reject);
    });
  }

  constructor(socket: Socket, { first, more }: Kind) {
    this.socket = socket;
    const end = () => this.closedMs ||= performance.now();
    socket.on("error", end);
    socket.on("close", end);
    socket.on("end", end);
    socket.resume();
    socket.write(Buffer.concat([PROTOCOL_HEADER, first]));
    // A single octet is sent as often as a frame.
    const times = Math.min(Math.ceil(SENT_BYTES / more.length), 4096);
    const bytes = Buffer.concat(Array.from({ length: times }, () => more));
    socket.write(bytes.subarray(0, SENT_BYTES));
  }
}
