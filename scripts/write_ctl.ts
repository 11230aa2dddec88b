// Writes the table of ctl's commands into docs/ctl.md, between its two markers.

import { readFileSync, writeFileSync } from "node:fs";
import { commandTable } from "../src/ctl/command.ts";

const MANUAL = new URL("../docs/ctl.md", import.meta.url);
const BEGIN = "<!-- commands: begin -->\n";
const END = "<!-- commands: end -->";

const manual = readFileSync(MANUAL, "utf8");
const from = manual.indexOf(BEGIN) + BEGIN.length;
const to = manual.indexOf(END);
if (from < BEGIN.length || to < from) throw new Error("docs/ctl.md has no place for the commands");
writeFileSync(MANUAL, manual.slice(0, from) + commandTable() + manual.slice(to));
