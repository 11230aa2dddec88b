// `npm run simulate`: the simulation of test/simulation/ for a while, or one seed of it; see its main.ts.

import process from "node:process";
import { run, setUp, TOOLS } from "./setup.mjs";

setUp(["bun", "deno"]);
process.exit(run(TOOLS.bun.binary, ["test/simulation/main.ts", ...process.argv.slice(2)]));
