// Writes the table of options into docs/operating.md, between its two markers.

import { readFileSync, writeFileSync } from "node:fs";
import { optionTable } from "../src/config/print.ts";

const MANUAL = new URL("../docs/operating.md", import.meta.url);
const BEGIN = "<!-- options: begin -->\n";
const END = "<!-- options: end -->";

const manual = readFileSync(MANUAL, "utf8");
const from = manual.indexOf(BEGIN) + BEGIN.length;
const to = manual.indexOf(END);
if (from < BEGIN.length || to < from) throw new Error("docs/operating.md has no place for the options");
writeFileSync(MANUAL, manual.slice(0, from) + optionTable() + manual.slice(to));
