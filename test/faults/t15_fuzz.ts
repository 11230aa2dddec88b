// T15: bad input. The fuzzer of test/fuzz over all its targets, in processes of its own; the control is the same fuzzer
// over parsers that are known to be bad, each of which it must find.

import { spawn } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { TARGETS } from "../fuzz/targets.ts";
import { projectRoot } from "../support/broker_process.ts";
import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { buildMutant, type Mutant } from "./mutant.ts";

/** Of a full run; the short one has a two-hundredth. Those that take longer have fewer. */
const CASES: Readonly<Record<string, number>> = {
  frames: 2_000_000,
  tables: 1_200_000,
  methods: 2_800_000,
  properties: 2_000_000,
  amqp: 300_000,
  sockets: 60_000,
  packets: 400_000,
  mqtt: 150_000,
  client: 400_000,
  settings: 200_000,
  uris: 700_000,
  segments: 60_000,
  acks: 60_000,
  definitions: 200_000,
  offsets: 150_000,
};
const SHORT_PART = 200;
/** Within so many cases a bad parser has to be found. */
const CONTROL_CASES = 20_000;
/** Fuzzers at a time. */
const PROCESSES = 2;

interface BadParser extends Mutant {
  /** Who finds it. */
  readonly finder: string;
}

const BAD_PARSERS: readonly BadParser[] = [
  {
    name: "no-bounds-check",
    finder: "methods",
    edits: [{
      file: "wire/amqp_values.ts",
      find: "    if (count > this.end - at) throw malformed(`${count} octets expected, ${this.end - at} left`);\n",
      replace: "",
    }],
  },
  {
    name: "table-depth-unlimited",
    finder: "tables",
    edits: [{
      file: "wire/amqp_table_codec.ts",
      find: "    if (depth > TABLE_DEPTH_MAX) throw malformed(`",
      replace: "    if (depth > 1000) throw malformed(`",
    }],
  },
  {
    name: "body-size-not-summed",
    finder: "amqp",
    edits: [{
      file: "amqp/publisher.ts",
      find: "    if (received > this.#bodySize) {",
      replace: "    if (size > this.#bodySize) {",
    }],
  },
  {
    name: "split-dependent",
    finder: "frames",
    edits: [{
      file: "wire/amqp_frame.ts",
      find:
        "    if (bytes[last] !== FRAME_END) this.#fail(`frame end octet ${FRAME_END} expected, got ${bytes[last]}`);\n",
      replace: "",
    }],
  },
  {
    name: "mqtt-identifier-0",
    finder: "packets",
    edits: [{
      file: "wire/mqtt_decode.ts",
      find: '    if (packet.id === 0) throw protocolError("a PUBLISH with packet identifier 0");\n',
      replace: "",
    }],
  },
  {
    name: "mqtt-share-not-left",
    finder: "mqtt",
    edits: [{
      file: "mqtt/host.ts",
      find: "    for (const filter of [...session.shares?.keys() ?? []]) this.shares.leave(session, filter);\n",
      replace: "",
    }],
  },
];

export const fuzzing: FaultCase = {
  name: "T15",
  title: "bad input: structure-aware fuzzing",
  needs: [],
  run,
  control: {
    what: `parsers that are known to be bad: ${BAD_PARSERS.map(({ name }) => name).join(", ")}`,
    run: control,
  },
};

async function run(context: FaultContext): Promise<FaultResult> {
  const { full, seed } = context;
  const failures: string[] = [];
  let cases = 0;
  const started = performance.now();
  const waiting = Object.entries(CASES);
  for (const { name } of TARGETS) if (CASES[name] === undefined) failures.push(`how often is ${name} to be run?`);
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [target, count] = next;
      const wanted = full ? count : Math.ceil(count / SHORT_PART);
      const found = await fuzzer(projectRoot, context.target, target, wanted, seed);
      context.log(found.line);
      cases += found.cases;
      if (!found.passed) failures.push(found.output);
      else if (found.cases !== wanted) failures.push(`${target} ran ${found.cases} of ${wanted} cases`);
    }
  };
  await Promise.all(Array.from({ length: PROCESSES }, work));
  const seconds = Math.round((performance.now() - started) / 1000);
  const targets = Object.keys(CASES).length;
  const counts = `${cases.toLocaleString("en-US")} cases over ${targets} targets in ${seconds} s`;
  return { lost: 0, phantom: 0, counts, failures };
}

/** All of them must be found: then the control has failed, as it must. */
async function control(context: FaultContext): Promise<FaultResult> {
  const found: string[] = [];
  for (const mutant of BAD_PARSERS) {
    const directory = buildMutant(mutant);
    for (const part of ["test", "scripts"]) {
      cpSync(join(projectRoot, part), join(directory, part), { recursive: true });
    }
    const { passed, cases, line, output } = await fuzzer(directory, "bun", mutant.finder, CONTROL_CASES, context.seed);
    context.log(`${mutant.name}: ${passed ? "NOT FOUND" : "found"} by ${mutant.finder} after ${cases} cases`);
    if (!passed && line.includes("FAILED")) found.push(`${mutant.name} after ${cases} cases`);
    else if (cases === 0) throw new Error(`the fuzzer did not run against ${mutant.name}: ${output}`);
  }
  return { lost: 0, phantom: 0, counts: found.join(", "), failures: found.length === BAD_PARSERS.length ? found : [] };
}

interface Found {
  readonly passed: boolean;
  readonly cases: number;
  /** Its line of results. */
  readonly line: string;
  readonly output: string;
}

async function fuzzer(
  directory: string,
  target: FaultContext["target"],
  name: string,
  cases: number,
  seed: number,
): Promise<Found> {
  const runtime = target === "deno" ? "deno" : "bun";
  const program = join(projectRoot, "node_modules/.bin", runtime);
  const args = runtime === "deno" ? ["run", "-A", "--no-check"] : ["--no-env-file"];
  const flags = ["--target", name, "--cases", `${cases}`, "--seed", `${seed}`];
  const child = spawn(program, [...args, join(directory, "test/fuzz/main.ts"), ...flags], {
    cwd: directory,
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => void (output += chunk));
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  const line = /^\w+: (?:passed|FAILED), (\d+) cases.*$/m.exec(output);
  return {
    passed: code === 0,
    cases: Number(line?.[1] ?? 0),
    line: line?.[0] ?? `${name}: ended with ${code}`,
    output,
  };
}
