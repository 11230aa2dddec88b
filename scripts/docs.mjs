// `npm run docs`: writes the generated parts of the manual.

import { run, setUp, TOOLS } from "./setup.mjs";
import process from "node:process";

setUp(["bun"]);
process.exit(run(TOOLS.bun.binary, ["scripts/write_options.ts"]) || run(TOOLS.bun.binary, ["scripts/write_ctl.ts"]));
