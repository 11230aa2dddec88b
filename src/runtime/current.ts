// Chooses the runtime, once, at start. Loads only the twin that fits, so that neither runtime ever sees the other's code.

import process from "node:process";
import { hostRuntime } from "./host.ts";
import type { Runtime } from "./runtime.ts";

/** The runtime that runs us. Rejects with a clear error under anything but Bun and Deno. */
export async function currentRuntime(): Promise<Runtime> {
  switch (hostRuntime()) {
    case "bun":
      return new (await import("./bun.ts")).BunRuntime();
    case "deno":
      return new (await import("./deno.ts")).DenoRuntime();
    case null:
      throw new Error(`leveret runs on Bun or Deno; found ${otherRuntime()}`);
  }
}

function otherRuntime(): string {
  return process.versions?.node === undefined ? "an unknown runtime" : `Node.js ${process.versions.node}`;
}
