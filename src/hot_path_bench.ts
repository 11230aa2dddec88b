// Prints what a message costs on its way from a publisher through the broker to a consumer, both in this process and
// without sockets: nanoseconds, and bytes allocated where the engine counts them (V8 does).
// Run: bun src/hot_path_bench.ts, deno run -A src/hot_path_bench.ts

import process from "node:process";
import { measurePath, PATHS } from "./hot_path_testing.ts";

const COUNT = Number(process.argv[2] ?? 300_000);

for (const path of PATHS) {
  const { ns, bytes } = await measurePath(path, COUNT);
  console.log(
    `${path.name}: ${ns.toFixed(0)} ns, ${bytes === null ? "bytes not counted" : `${bytes.toFixed(1)} bytes`}`,
  );
}
