// What the operating system tells of this process: memory, descriptors. Where it does not tell, numbers are 0.

import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";

export const processProbe = {
  pid: process.pid,
  processors: availableParallelism(),
  /** The runtime's version. */
  runtimeVersion: process.versions["bun"] ?? process.versions["deno"] ?? process.version,

  memoryUsed(): number {
    return process.memoryUsage.rss();
  },

  /** Bytes: the heap's used and all, buffers, and what the operating system counts. */
  memoryUse(): { heapUsed: number; heapTotal: number; external: number; rss: number } {
    const { heapUsed, heapTotal, external, rss } = process.memoryUsage();
    return { heapUsed, heapTotal, external, rss };
  },

  descriptorsUsed(): number {
    try {
      return readdirSync("/proc/self/fd").length;
    } catch {
      return 0;
    }
  },

  descriptorsMax(): number {
    try {
      const limit = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1];
      return Number(limit ?? 0);
    } catch {
      return 0;
    }
  },
};
