import { test } from "node:test";
import assert from "node:assert/strict";
import { Alarms } from "./alarms.ts";

test("an alarm holds from being raised to being cleared, and each change is told once", () => {
  const alarms = new Alarms();
  const seen: string[] = [];
  const unsubscribe = alarms.subscribe(() => seen.push(`${alarms.active} ${alarms.reason}`));
  alarms.raise("disk");
  alarms.raise("disk");
  alarms.raise("memory");
  alarms.clear("disk");
  alarms.clear("memory");
  alarms.clear("memory");
  unsubscribe();
  alarms.raise("disk");
  assert.deepEqual(seen, ["true low on disk", "true low on memory & disk", "true low on memory", "false "]);
});

test("an operator's alarm is told in its own words", () => {
  const alarms = new Alarms();
  alarms.raise("maintenance");
  assert.equal(alarms.reason, "maintenance");
  alarms.raise("disk");
  assert.equal(alarms.reason, "low on disk, maintenance");
});

test("disk and memory are compared with their limits, and what cannot be told raises nothing", () => {
  let free: number | null = 100;
  let resident = 10;
  const alarms = new Alarms({
    freeDiskBytes: () => free,
    freeDiskBytesMin: 50,
    residentBytes: () => resident,
    residentBytesMax: 20,
  });
  const after = (): readonly string[] => {
    alarms.check();
    return alarms.raised;
  };
  assert.deepEqual(after(), []);
  free = 49;
  assert.deepEqual(after(), ["disk"]);
  resident = 21;
  assert.deepEqual(after(), ["disk", "memory"]);
  free = null;
  assert.deepEqual(after(), ["memory"]);
  resident = 20;
  assert.deepEqual(after(), []);
});

test("a limit of 0 is none, and a full disk's alarm goes when there is room again", () => {
  const probes = { freeDiskBytes: () => 0, freeDiskBytesMin: 0, residentBytes: () => 1, residentBytesMax: 0 };
  const alarms = new Alarms(probes);
  alarms.raise("disk");
  alarms.check();
  assert.equal(alarms.active, false);
});
