import assert from "node:assert/strict";
import { test } from "node:test";
import { countsAllocations, measurePath, PATHS } from "./hot_path_testing.ts";

const COUNT = 60_000;
/** Timers and whatever else goes on may fall into one run, what a message costs is in all. */
const TRIES = 3;

for (const path of PATHS) {
  test(`a message allocates at most ${path.bytesMax} bytes: ${path.name}`, async (t) => {
    if (!countsAllocations()) return t.skip("this engine does not count what is allocated");
    let least = Infinity;
    for (let attempt = 0; attempt < TRIES && least > path.bytesMax; attempt++) {
      const { bytes } = await measurePath(path, COUNT);
      least = Math.min(least, bytes!);
    }
    assert.ok(least <= path.bytesMax, `${least.toFixed(1)} bytes`);
  });
}
