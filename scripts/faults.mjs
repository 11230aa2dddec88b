// `npm run faults`: the fault tests of test/faults/ by name; see its main.ts for what it takes.

import { existsSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { become, give, ROOT, run, setUp, TOOLS } from "./setup.mjs";

setUp(["bun", "deno"]);
if (!existsSync(join(ROOT, "dist/leveret")) && run(process.execPath, ["scripts/build.mjs"]) !== 0) {
  give("faults: dist/leveret could not be built");
}
become(TOOLS.bun.binary, [join(ROOT, "test/faults/main.ts"), ...process.argv.slice(2)]);
