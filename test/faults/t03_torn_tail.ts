// T03: the end of a file is cut off, zeros, or garbage, from any octet on: what a power cut leaves of what was being
// written. In this process, on a disk in memory, by the ten thousand.

import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { buildMutant } from "./mutant.ts";
import {
  ackPathOf,
  deliveryFault,
  endOfRecords,
  type Expected,
  expectedDefinitions,
  expectedOf,
  expectedOffsets,
  type Files,
  OFFSETS_PATH,
  quoted,
  segmentPaths,
} from "./octet_oracle.ts";
import { differs, Verdict } from "./octet_verdict.ts";
import { Random } from "./random.ts";
import {
  CONSUMERS,
  DEFINITIONS_PATH,
  fillStores,
  loadModules,
  NO_CHECKSUMS,
  STORE_KINDS,
  type StoreKind,
  StoreUnderTest,
} from "./store_under_test.ts";

/** The last octets of each file. */
const TAIL_BYTES = 4096;
const SEGMENT_BYTES = 16_384;
/** Octets of each file that are tried, in short and for the control. */
const SHORT_OFFSETS = 80;
const KINDS = ["cut", "zeros", "garbage"] as const;

export const tornTail: FaultCase = {
  name: "T03",
  title: "torn tail: cut, zeroed or garbled from any octet on",
  needs: [],
  run: tear,
  control: {
    what: "no checksum is looked at",
    run: (context) => tear({ ...context, full: false, mutant: buildMutant(NO_CHECKSUMS) }),
  },
};

async function tear(context: FaultContext): Promise<FaultResult> {
  const random = new Random(context.seed);
  const store = new StoreUnderTest(await loadModules(context.mutant), SEGMENT_BYTES);
  const whole = fillStores(store);
  const verdict = new Verdict();
  const counts: string[] = [];
  for (const { path, end, judge } of targetsOf(store, whole)) {
    const before = verdict.cases;
    for (const at of offsets(Math.max(0, end - TAIL_BYTES), end, context.full, random)) {
      for (const kind of KINDS) {
        const broken = new Map(whole).set(path, torn(whole.get(path)!, at, kind, random));
        verdict.judge(`${path.slice(6)} ${kind} from ${at}`, () => {
          store.restore(broken);
          return judge(broken, kind === "cut");
        });
      }
    }
    counts.push(`${verdict.cases - before} ${path.slice(6)}`);
    if (context.full) context.log(counts.at(-1)!);
  }
  return verdict.result(`${verdict.cases.toLocaleString("en-US")} cases (${counts.join(", ")})`);
}

interface Target {
  readonly path: string;
  /** Behind what was written. */
  readonly end: number;
  /** Why what a start makes of the broken files is not right; null when it is. */
  judge(broken: Files, isCut: boolean): string | null;
}

function targetsOf(store: StoreUnderTest, whole: Files): Target[] {
  const targets: Target[] = [];
  for (const kind of STORE_KINDS) {
    const path = segmentPaths(whole, kind).at(-1)!;
    const judge = (broken: Files, isCut: boolean) => judgeStore(store, kind, expectedOf(whole, broken, kind), isCut);
    targets.push({ path, end: endOfRecords(whole.get(path)!), judge });
    const acks = ackPathOf(segmentPaths(whole, kind)[0]!);
    if (whole.has(acks)) targets.push({ path: acks, end: whole.get(acks)!.length, judge });
  }
  targets.push({
    path: OFFSETS_PATH,
    end: whole.get(OFFSETS_PATH)!.length,
    judge: (broken) => differs([...store.tracked()], [...expectedOffsets(whole, broken, CONSUMERS)]),
  });
  targets.push({
    path: DEFINITIONS_PATH,
    end: whole.get(DEFINITIONS_PATH)!.length,
    judge(broken) {
      const expected = expectedDefinitions(whole, broken);
      const first = differs(store.readDefinitions(), expected);
      if (first !== null) return first;
      store.writeDefinitions([{ op: "more" }]);
      return differs(store.readDefinitions(), [...expected, { op: "more" }]);
    },
  });
  return targets;
}

/** A start, a message more, and another start. */
function judgeStore(store: StoreUnderTest, kind: StoreKind, expected: Expected[], isCut: boolean): string | null {
  const delivered = store.read(kind);
  const fault = deliveryFault(expected, delivered);
  if (fault !== null) return fault;
  // Where whole entries were cut off there is nothing that could tell of them.
  const unflagged = isCut ? -1 : expected.findIndex(({ comesBack }, i) => comesBack && !delivered[i]!.redelivered);
  if (unflagged >= 0) return `${quoted(delivered[unflagged]!.body)} came back without a flag`;
  store.fill(kind, ["0 and on it goes"], 1);
  const again = store.read(kind).map(({ body }) => body);
  const bodies = [...expected.map(({ body }) => body), "0 and on it goes"];
  return differs(again, bodies);
}

function offsets(from: number, to: number, all: boolean, random: Random): number[] {
  if (all) return Array.from({ length: to - from }, (_, i) => from + i);
  return Array.from({ length: Math.min(SHORT_OFFSETS, to - from) }, () => random.between(from, to));
}

function torn(bytes: Uint8Array, at: number, kind: typeof KINDS[number], random: Random): Uint8Array {
  const broken = bytes.slice(0, kind === "cut" ? at : bytes.length);
  if (kind === "zeros") broken.fill(0, at);
  if (kind === "garbage") { for (let i = at; i < broken.length; i++) broken[i] = random.next() >>> 11; }
  return broken;
}
