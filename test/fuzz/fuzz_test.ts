// Every target for a short while, and every entry of the corpus. LEVERET_TEST_FUZZ_SEED repeats the cases of a run.

import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { readCorpus } from "./corpus.ts";
import { failureText, fuzz, replay } from "./fuzz.ts";
import { TARGETS } from "./targets.ts";

/** Of all targets together, ms. Deno shows that the runtime makes no difference; Bun is what we run. */
const RUN_MS = process.versions["bun"] === undefined ? 5_000 : 45_000;
const seed = Number(process.env["LEVERET_TEST_FUZZ_SEED"] ?? Date.now() % 0x7fffffff);
const shares = TARGETS.reduce((sum, { share }) => sum + share, 0);

for (const target of TARGETS) {
  const corpus = readCorpus(target);

  test(`${target.name}: what is in the corpus holds`, async () => {
    assert.ok(corpus.length > 0, `there is something in the corpus of ${target.name}`);
    for (const { file, input } of corpus) {
      const failure = await replay(target, input);
      if (failure !== null) assert.fail(`${file}: ${failureText(target, failure)}`);
    }
  });

  test(`${target.name}: what a fuzzer makes holds, seed ${seed}`, async () => {
    const inputs = corpus.map(({ input }) => input);
    const { cases, failure } = await fuzz(target, { seed, corpus: inputs, msMax: RUN_MS * target.share / shares });
    if (failure !== null) assert.fail(failureText(target, failure));
    assert.ok(cases > 0);
  });
}
