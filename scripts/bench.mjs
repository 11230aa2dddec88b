// `npm run bench`: the matrix of docs/performance.md; see scripts/bench/main.ts for what it takes.

import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { give, ROOT, run, setUp, TOOLS } from "./setup.mjs";

setUp(["bun", "deno"]);
if (!existsSync(join(ROOT, "dist/leveret")) && run(process.execPath, ["scripts/build.mjs"]) !== 0) {
  give("bench: dist/leveret could not be built");
}
process.exit(run(TOOLS.bun.binary, ["scripts/bench/main.ts", ...process.argv.slice(2)]));
