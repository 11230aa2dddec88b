// Targets `segments`, `acks`, `definitions` and `offsets`: whatever stands in a file of the store, a start ends soon and
// well, says what it found, serves nothing twice, goes on behind it, and finds the same at the next start.

import assert from "node:assert/strict";
import { StoreFault } from "../../../src/store/store_event.ts";
import {
  DEFINITIONS_PATH,
  loadModules,
  QUEUE_IDS,
  type StoreKind,
  StoreUnderTest,
} from "../../faults/store_under_test.ts";
import { queuePath } from "../../support/memory_disk.ts";
import type { FuzzTarget } from "../fuzz_target.ts";
import { mutate } from "../mutate.ts";
import type { FuzzRandom } from "../random.ts";
import {
  ackLog,
  definitions as buildDefinitions,
  offsets as buildOffsets,
  splitSegments,
  twoSegments,
  wholeSegment,
} from "./file_builder.ts";

/** What a case may tell of: several things of each piece of the file, not of each octet. */
const EVENTS_MAX = 3000;
const SEGMENT_BYTES = 8192;

let store: StoreUnderTest;

async function open(): Promise<void> {
  store = new StoreUnderTest(await loadModules(null), SEGMENT_BYTES);
}

function made(random: FuzzRandom, corpus: readonly Uint8Array[], build: () => Uint8Array): Uint8Array {
  if (corpus.length > 0 && random.oneIn(4)) return mutate(random.pick(corpus), random, corpus);
  const input = build();
  return random.oneIn(2) ? mutate(input, random, corpus) : input;
}

/** Does it, unless the file says that it is of another version; false when it does. */
function unlessOtherVersion(act: () => void): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (error instanceof StoreFault && /version/.test(error.message)) return false;
    throw error;
  }
}

/** Starts again and again on these files. */
function checkStore(kind: StoreKind, files: ReadonlyMap<string, Uint8Array>): void {
  store.restore(files);
  unlessOtherVersion(() => {
    const first = store.read(kind).map(({ body }) => body);
    const bytes = [...files.values()].reduce((sum, { length }) => sum + length, 0);
    assert.ok(first.length * 24 <= bytes, `${first.length} messages in ${bytes} octets`);
    assert.ok(store.events.length <= EVENTS_MAX, `${store.events.length} events of ${bytes} octets`);
    store.fill(kind, ["0 and on it goes"], 1);
    const again = [...first, "0 and on it goes"];
    assert.deepEqual(store.read(kind).map(({ body }) => body), again);
    // What a segment that is gone now knew of the one before it may make a second thing of damage, but not a third.
    const told = store.events.length;
    assert.deepEqual(store.read(kind).map(({ body }) => body), again);
    for (const { kind, path } of store.events.slice(told)) {
      assert.ok(kind === "foreign-file" || kind === "missing-segment", `${kind} in ${path} is told again`);
    }
  });
  assert.equal(store.disk.openCount, 0, "no file stays open");
}

const at = (kind: StoreKind, name: string) => `${queuePath(QUEUE_IDS[kind])}/${name}`;

export const segments: FuzzTarget = {
  name: "segments",
  form: "hex",
  share: 2,
  open,

  make: (random, corpus) =>
    made(random, corpus, () => twoSegments(random, QUEUE_IDS[random.oneIn(2) ? "queue" : "stream"])),

  check(input) {
    const pieces = splitSegments(input);
    for (const kind of ["queue", "stream"] as const) {
      checkStore(kind, new Map(pieces.map((piece, i) => [at(kind, `msgs.000000000${i + 1}`), piece])));
    }
  },
};

/** A segment with forty messages, that the logs of the cases speak of. */
let logged: Uint8Array;

export const acks: FuzzTarget = {
  name: "acks",
  form: "hex",
  share: 1,

  async open() {
    await open();
    logged = wholeSegment(QUEUE_IDS.queue, 40);
  },

  make: (random, corpus) => made(random, corpus, () => ackLog(random, QUEUE_IDS.queue)),

  check(input) {
    checkStore("queue", new Map([[at("queue", "msgs.0000000001"), logged], [at("queue", "acks.0000000001"), input]]));
  },
};

export const definitions: FuzzTarget = {
  name: "definitions",
  form: "hex",
  share: 1,
  open,

  make: (random, corpus) => made(random, corpus, () => buildDefinitions(random)),

  check(input) {
    store.restore(new Map([[DEFINITIONS_PATH, input]]));
    unlessOtherVersion(() => {
      const first = store.readDefinitions();
      const told = store.events.length;
      assert.ok(told <= EVENTS_MAX);
      store.writeDefinitions([{ op: "more" }]);
      assert.deepEqual(store.readDefinitions(), [...first, { op: "more" }]);
      assert.equal(store.events.length, told, "damage is told once");
    });
    assert.equal(store.disk.openCount, 0, "no file stays open");
  },
};

export const offsets: FuzzTarget = {
  name: "offsets",
  form: "hex",
  share: 1,
  open,

  make: (random, corpus) => made(random, corpus, () => buildOffsets(random, QUEUE_IDS.stream)),

  check(input) {
    store.restore(new Map([[at("stream", "offsets"), input]]));
    unlessOtherVersion(() => {
      const first = store.tracked();
      const told = store.events.length;
      store.track([["third", 7]]);
      assert.deepEqual([...store.tracked()], [...first.set("third", 7)]);
      assert.equal(store.events.length, told, "damage is told once");
    });
    assert.equal(store.disk.openCount, 0, "no file stays open");
  },
};
