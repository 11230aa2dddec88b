// What this process and its machine have and use. Asked for when it is shown, at most once in a while: looking is a few
// system calls.

import type { Sampled } from "../core/statistics/counters.ts";
import type { Series } from "../core/statistics/series.ts";

const FRESH_MS = 1_000;

/** Bytes. */
export interface MemoryUse {
  readonly heapUsed: number;
  readonly heapTotal: number;
  /** Buffers. */
  readonly external: number;
  /** All of it, as the operating system has it. */
  readonly rss: number;
}

export interface NodeProbe {
  readonly pid: number;
  readonly processors: number;
  readonly dataDir: string;
  memoryUsed(): number;
  memoryUse(): MemoryUse;
  memoryLimit(): number;
  diskFree(): number;
  diskFreeLimit(): number;
  descriptorsUsed(): number;
  descriptorsMax(): number;
}

/** Numbers as of the last look. */
export class NodeGauges implements Sampled {
  readonly startedMs = Date.now();
  readonly probe: NodeProbe;
  /** Counts looks; a series begins with the first. */
  looks = 0;
  memoryUsed = 0;
  diskFree = 0;
  descriptorsUsed = 0;
  socketsUsed = 0;
  series: Series | null = null;
  #lookedMs = -Infinity;
  readonly #sockets: () => number;

  constructor(probe: NodeProbe, sockets: () => number) {
    this.probe = probe;
    this.#sockets = sockets;
  }

  get fields(): readonly string[] {
    return ["looks", "mem_used", "disk_free", "fd_used", "sockets_used"];
  }

  get counterCount(): number {
    return 1;
  }

  get uptimeMs(): number {
    return Date.now() - this.startedMs;
  }

  read(into: Float64Array): void {
    this.look();
    into[0] = this.looks;
    into[1] = this.memoryUsed;
    into[2] = this.diskFree;
    into[3] = this.descriptorsUsed;
    into[4] = this.socketsUsed;
  }

  look(): this {
    const nowMs = performance.now();
    this.socketsUsed = this.#sockets();
    if (nowMs - this.#lookedMs < FRESH_MS) return this;
    this.#lookedMs = nowMs;
    this.looks++;
    this.memoryUsed = this.probe.memoryUsed();
    this.diskFree = this.probe.diskFree();
    this.descriptorsUsed = this.probe.descriptorsUsed();
    return this;
  }
}
