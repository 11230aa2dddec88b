// Runs the suite for the runtime that runs the test, and for the loopback.

import { currentRuntime } from "../../src/runtime/current.ts";
import { LoopbackRuntime } from "../../src/runtime/loopback.ts";
import { connectionConformance } from "./runtime_conformance.ts";

const native = await currentRuntime();

connectionConformance(native.name, () => native, true);
connectionConformance("loopback", () => new LoopbackRuntime({ lingerMs: 50 }), false);
connectionConformance(
  "loopback in small pieces",
  () => new LoopbackRuntime({ chunkBytesMax: 1021, lingerMs: 50 }),
  false,
);
