// T12: thousands of connections that send a byte now and then. All are closed when the time for a handshake is over,
// whatever they send; meanwhile they cost little, and others are served.

import { connect, type Socket } from "node:net";
import { RawAmqp } from "../support/raw_amqp.ts";
import { PROTOCOL_HEADER } from "../support/raw_bytes.ts";
import { connection } from "../support/raw_methods.ts";
import { waitFor } from "../support/wait.ts";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { startFaultBroker } from "./fault_broker.ts";
import { buildMutant, type Mutant } from "./mutant.ts";
import { inMib, MIB, WatchedMemory } from "./watched_memory.ts";

interface Size {
  readonly sockets: number;
  readonly handshakeMs: number;
  readonly trickleMs: number;
  /** How late a close may be. */
  readonly lateMs: number;
}

const SIZES: { readonly full: Size; readonly short: Size } = {
  full: { sockets: 5000, handshakeMs: 10_000, trickleMs: 5000, lateMs: 1000 },
  short: { sockets: 500, handshakeMs: 2000, trickleMs: 300, lateMs: 20_000 },
};
/** It looks twice a second. */
const EARLY_MS = 50;
const MEMORY_BYTES_MAX = 50 * MIB;
/** Sockets that are opened at a time. */
const AT_ONCE = 100;
const CLIENT_MS_MAX = 10_000;

/** The clock begins anew with each sign of life. */
const RESET_BY_BYTES: Mutant = {
  name: "handshake-clock-reset",
  edits: [{
    file: "amqp/deadlines.ts",
    find: "nowMs - this.#acceptedMs > this.#handshakeMs",
    replace: "nowMs - this.#heardMs > this.#handshakeMs",
  }],
};

export const slowloris: FaultCase = {
  name: "T12",
  title: "slowloris",
  needs: [],
  run: dawdle,
  control: {
    what: "each byte gives a connection more time",
    run: (context) => dawdle({ ...context, full: false, mutant: buildMutant(RESET_BY_BYTES) }, 6000),
  },
};

async function dawdle(context: FaultContext, patienceMs?: number): Promise<FaultResult> {
  const { sockets, handshakeMs, trickleMs, lateMs } = SIZES[context.full ? "full" : "short"];
  const failures: string[] = [];
  const broker = await startFaultBroker(context, {
    args: ["--log-level", "error"],
    environment: { LEVERET_AMQP_HANDSHAKE_TIMEOUT: `${handshakeMs}` },
  });
  const memory = new WatchedMemory(() => broker.pid);
  const dawdlers: Dawdler[] = [];
  let trickle: ReturnType<typeof setInterval> | undefined;
  try {
    await (await RawAmqp.open(broker.port)).close();
    memory.begin();
    const before = memory.highest;
    while (dawdlers.length < sockets) {
      const count = Math.min(AT_ONCE, sockets - dawdlers.length);
      dawdlers.push(...await Promise.all(Array.from({ length: count }, () => Dawdler.open(broker.port))));
    }
    trickle = setInterval(() => dawdlers.forEach((dawdler) => dawdler.trickle()), trickleMs);
    const clientMs = performance.now();
    await (await RawAmqp.open(broker.port, { channels: 1 })).close();
    const servedMs = performance.now() - clientMs;
    if (servedMs > CLIENT_MS_MAX) failures.push(`a new client waited ${servedMs.toFixed(0)} ms`);
    const isOver = () => dawdlers.every((dawdler) => dawdler.closedMs > 0);
    await waitFor("end of the dawdlers", isOver, patienceMs ?? handshakeMs + lateMs + 30_000).catch(() => {});
    const left = dawdlers.filter((dawdler) => dawdler.closedMs === 0).length;
    if (left > 0) failures.push(`${left} connections were not closed`);
    const spans = dawdlers.filter((dawdler) => dawdler.closedMs > 0).map((dawdler) =>
      dawdler.closedMs - dawdler.openedMs
    );
    const [first, last] = [Math.min(...spans), Math.max(...spans)];
    if (first < handshakeMs - EARLY_MS) failures.push(`one was closed after ${first.toFixed(0)} ms`);
    if (last > handshakeMs + lateMs) failures.push(`one was closed after ${last.toFixed(0)} ms`);
    const grown = memory.highest - before;
    if (grown > MEMORY_BYTES_MAX) failures.push(`they cost ${inMib(grown)}`);
    const counts = `${sockets} sockets, a byte per ${trickleMs} ms, closed after ${first.toFixed(0)} to ` +
      `${last.toFixed(0)} ms of ${handshakeMs}, ${inMib(grown)} more memory, a client served in ${
        servedMs.toFixed(0)
      } ms`;
    return { lost: 0, phantom: 0, counts, failures };
  } finally {
    clearInterval(trickle);
    memory.stop();
    for (const dawdler of dawdlers) dawdler.socket.destroy();
    await broker.dispose();
  }
}

/** Says what any client says, an octet at a time. */
class Dawdler {
  readonly socket: Socket;
  readonly openedMs = performance.now();
  closedMs = 0;
  readonly #bytes = Buffer.concat([PROTOCOL_HEADER, connection.startOk()]);
  #said = 0;

  static open(port: number): Promise<Dawdler> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1" });
      socket.once("connect", () => resolve(new Dawdler(socket)));
      socket.once("error", reject);
    });
  }

  constructor(socket: Socket) {
    this.socket = socket;
    const end = () => this.closedMs ||= performance.now();
    socket.on("error", end);
    socket.on("close", end);
    socket.on("end", end);
    socket.resume();
  }

  trickle(): void {
    if (this.closedMs > 0) return;
    // Never more than the whole: its last octet is not reached within the time of a test.
    this.socket.write(this.#bytes.subarray(this.#said, this.#said + 1));
    this.#said++;
  }
}
