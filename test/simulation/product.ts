// The broker under simulation: src/ itself, or a mutant of it, and only what a simulation needs of it.

import { pathToFileURL } from "node:url";
import { join } from "node:path";
import { projectRoot } from "../support/broker_process.ts";

type BrokerModule = typeof import("../../src/broker.ts");
type LoopbackModule = typeof import("../../src/runtime/loopback.ts");
type FaultModule = typeof import("../../src/runtime/fault.ts");

export interface Product {
  readonly Broker: BrokerModule["Broker"];
  readonly LoopbackRuntime: LoopbackModule["LoopbackRuntime"];
  readonly FileFault: FaultModule["FileFault"];
}

/** `root` has a folder src/. */
export async function loadProduct(root: string = projectRoot): Promise<Product> {
  const load = (path: string): Promise<unknown> => import(pathToFileURL(join(root, "src", path)).href);
  const { Broker } = await load("broker.ts") as BrokerModule;
  const { LoopbackRuntime } = await load("runtime/loopback.ts") as LoopbackModule;
  const { FileFault } = await load("runtime/fault.ts") as FaultModule;
  return { Broker, LoopbackRuntime, FileFault };
}
