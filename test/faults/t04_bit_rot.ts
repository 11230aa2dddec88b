// T04: one bit of a file has changed while nobody looked: in segments that are full or not, acknowledgement logs, the
// definitions log, a stream's offsets. In this process, on a disk in memory, by the ten thousand.

import type { FaultCase, FaultContext, FaultResult } from "./fault_case.ts";
import { buildMutant } from "./mutant.ts";
import {
  deliveryFault,
  endOfRecords,
  type Expected,
  expectedDefinitions,
  expectedOf,
  expectedOffsets,
  type Files,
} from "./octet_oracle.ts";
import { differs, Verdict } from "./octet_verdict.ts";
import { Random } from "./random.ts";
import {
  CONSUMERS,
  type Delivered,
  fillStores,
  loadModules,
  NO_CHECKSUMS,
  STORE_KINDS,
  StoreUnderTest,
} from "./store_under_test.ts";

const FLIPS = { full: 10_000, short: 400 };
const SEGMENT_BYTES = 8192;
/** Of so many flips one is anywhere in its file, also where nothing stands. */
const ANYWHERE = 8;

export const bitRot: FaultCase = {
  name: "T04",
  title: "a flipped bit in any file",
  needs: [],
  run: rot,
  control: {
    what: "no checksum is looked at",
    run: (context) => rot({ ...context, full: false, mutant: buildMutant(NO_CHECKSUMS) }),
  },
};

async function rot(context: FaultContext): Promise<FaultResult> {
  const random = new Random(context.seed);
  const store = new StoreUnderTest(await loadModules(context.mutant), SEGMENT_BYTES);
  const whole = fillStores(store);
  const paths = [...whole.keys()];
  const verdict = new Verdict();
  let detected = 0;
  let meaningless = 0;
  const flips = context.full ? FLIPS.full : FLIPS.short;
  for (let i = 0; i < flips; i++) {
    const path = paths[random.between(0, paths.length)]!;
    const bytes = whole.get(path)!.slice();
    const meaningful = /\/msgs\.\d+$/.test(path) ? endOfRecords(bytes) : bytes.length;
    const bit = random.between(0, (i % ANYWHERE === 0 ? bytes.length : meaningful) * 8);
    bytes[bit >>> 3]! ^= 1 << (bit & 7);
    const broken = new Map(whole).set(path, bytes);
    verdict.judge(`${path.slice(6)} octet ${bit >>> 3} bit ${bit & 7}`, () => {
      store.restore(broken);
      const fault = judgeAll(store, whole, broken);
      const isSeen = store.events.length > 0;
      if (isSeen) detected++;
      else if (bit >>> 3 >= meaningful) meaningless++;
      else return fault ?? "nothing was said of it";
      if (fault !== null || !isSeen) return fault;
      const elsewhere = store.events.find((event) => event.path !== path);
      return elsewhere === undefined ? judgeAgain(store, whole, broken) : `${elsewhere.path} is said to be damaged`;
    });
  }
  return verdict.result(
    `${flips.toLocaleString("en-US")} flips in ${paths.length} files, ${detected.toLocaleString("en-US")} detected, ` +
      `${meaningless} behind the last record, where nothing stands`,
  );
}

/** Every file is read: that which is broken costs what it held, the others are whole. */
function judgeAll(store: StoreUnderTest, whole: Files, broken: Files): string | null {
  const definitions = differs(store.readDefinitions(), expectedDefinitions(whole, broken));
  if (definitions !== null) return definitions;
  for (const kind of STORE_KINDS) {
    const fault = judge(expectedOf(whole, broken, kind), store.read(kind));
    if (fault !== null) return fault;
  }
  return differs([...store.tracked()], [...expectedOffsets(whole, broken, CONSUMERS)]);
}

function judge(expected: readonly Expected[], delivered: readonly Delivered[]): string | null {
  const fault = deliveryFault(expected, delivered);
  if (fault !== null) return fault;
  const unflagged = expected.findIndex(({ comesBack }, i) => comesBack && !delivered[i]!.redelivered);
  return unflagged < 0 ? null : `${delivered[unflagged]!.body} came back without a flag`;
}

/** The next start finds the same, and has nothing new to tell. */
function judgeAgain(store: StoreUnderTest, whole: Files, broken: Files): string | null {
  store.events.length = 0;
  const fault = judgeAll(store, whole, broken);
  if (fault !== null) return `at the second start ${fault}`;
  const again = store.events[0];
  return again === undefined ? null : `the second start says it again: ${again.kind} in ${again.path}`;
}
