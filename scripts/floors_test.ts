import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { floorFault, mayNameRuntimes, runtimeImportFault } from "./floors.ts";

for (
  const [importer, target] of [
    ["wire/amqp_frame.ts", "lib/assert.ts"],
    ["wire/amqp_frame.ts", "wire/amqp_values.ts"],
    ["store/queue_store.ts", "runtime/runtime.ts"],
    ["core/queue.ts", "store/queue_store.ts"],
    ["amqp/connection.ts", "core/virtual_host.ts"],
    ["perf/amqp.ts", "client/amqp_client.ts"],
    ["lib/out_buffer.ts", "limits.ts"],
    ["broker.ts", "amqp/connection.ts"],
    ["commands/serve.ts", "broker.ts"],
    ["core/queue_test.ts", "runtime/loopback.ts"],
  ] as const
) {
  test(`${importer} may import ${target}`, () => assert.equal(floorFault(importer, target), null));
}

for (
  const [importer, target, why] of [
    ["lib/assert.ts", "wire/amqp_frame.ts", "lib/ may import nothing of ours, not wire/"],
    ["wire/amqp_frame.ts", "runtime/runtime.ts", "wire/ may import lib/, not runtime/"],
    ["core/queue.ts", "runtime/runtime.ts", "core/ may import lib/, wire/, config/, store/, not runtime/"],
    ["core/queue.ts", "amqp/connection.ts", "core/ may import lib/, wire/, config/, store/, not amqp/"],
    ["perf/amqp.ts", "store/queue_store.ts", "perf/ may import lib/, runtime/, wire/, client/, not store/"],
    [
      "amqp/connection.ts",
      "broker.ts",
      "amqp/ may import lib/, runtime/, wire/, config/, store/, server/, core/, not broker.ts",
    ],
    [
      "tcp/session.ts",
      "core/queue.ts",
      "tcp/ has no floor yet: give it one in scripts/floors.ts and docs/architecture.md",
    ],
    ["core/queue.ts", "core/queue_test.ts", "a test is imported by nobody"],
  ] as const
) {
  test(`${importer} may not import ${target}`, () => assert.equal(floorFault(importer, target), why));
}

test("only the runtime folder, the scripts and the black-box tests may name runtimes", () => {
  assert.deepEqual(
    ["src/runtime/bun.ts", "scripts/layers.ts", "test/clients/a_test.ts", "src/core/queue.ts", "src/store/a_test.ts"]
      .map(mayNameRuntimes),
    [true, true, true, false, false],
  );
  assert.deepEqual(
    ["bun", "bun:ffi", "jsr:@std/ini", "https://x.example/y.ts", "node:fs", "zod", "bundle"].map((name) =>
      runtimeImportFault(name) === null
    ),
    [false, false, false, false, true, true, true],
  );
});

test("every folder of the sources has a floor", () => {
  const folders = readdirSync(new URL("../src", import.meta.url), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);
  for (const folder of folders) {
    assert.doesNotMatch(floorFault(`${folder}/a.ts`, "lib/assert.ts") ?? "", /no floor/);
  }
});
