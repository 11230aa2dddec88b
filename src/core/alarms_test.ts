import { test } from "node:test";
import assert from "node:assert/strict";
import { type AlarmProbes, Alarms } from "./alarms.ts";

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

/** A disk and a memory that the test moves, with limits of 50 and 20. */
function probes(
  changes: Partial<AlarmProbes> = {},
): AlarmProbes & { free: number | null; memory: number; looks: number } {
  return {
    free: 100,
    memory: 10,
    looks: 0,
    freeDiskBytes() {
      this.looks++;
      return this.free;
    },
    freeDiskBytesMin: 50,
    freeDiskBytesAgain: 60,
    setAside: () => true,
    memoryBytes() {
      return this.memory;
    },
    memoryBytesMax: 20,
    ...changes,
  };
}

test("disk and memory are compared with their limits, and what cannot be told raises nothing", () => {
  const machine = probes();
  const alarms = new Alarms(machine);
  const after = (): readonly string[] => {
    alarms.check();
    return alarms.raised;
  };
  assert.deepEqual(after(), []);
  machine.free = 49;
  assert.deepEqual(after(), ["disk"]);
  machine.memory = 21;
  assert.deepEqual(after(), ["disk", "memory"]);
  machine.free = null;
  assert.deepEqual(after(), ["memory"]);
  machine.memory = 20;
  assert.deepEqual(after(), []);
});

test("a limit of 0 is none", () => {
  const alarms = new Alarms(probes({ freeDiskBytes: () => 0, freeDiskBytesMin: 0, memoryBytesMax: 0 }));
  alarms.check();
  assert.equal(alarms.active, false);
});

test("a disk that fills fast is looked at by what is allocated, so that its limit is never passed by much", () => {
  const machine = probes({ freeDiskBytesMin: 1000 });
  machine.free = 1_001_000;
  const alarms = new Alarms(machine);
  alarms.check();
  let looked = machine.looks;
  for (let count = 0; !alarms.active; count++) {
    assert.ok(count < 1_000_000, "an alarm comes");
    machine.free -= 8;
    alarms.allocated(8);
  }
  looked = machine.looks - looked;
  assert.ok(machine.free >= 1000 - 2 * 8, `${machine.free} bytes were left`);
  assert.ok(looked < 100, `looked ${looked} times`);
});

test("after the disk was full the alarm holds until there is room for more, and what is set aside stands again", () => {
  let isSetAside = false;
  const machine = probes({ freeDiskBytesMin: 0, setAside: () => isSetAside });
  machine.free = 0;
  const alarms = new Alarms(machine);
  alarms.diskFull();
  const isActive = (free: number | null): boolean => {
    machine.free = free;
    alarms.check();
    return alarms.active;
  };
  assert.ok(isActive(0));
  assert.ok(isActive(59), "less than one more segment would be full at once");
  assert.ok(isActive(1000), "a quota may be used up, whatever the disk says");
  isSetAside = true;
  assert.ok(!isActive(60));
  assert.ok(!isActive(59), "it was not full since");
  alarms.diskFull();
  assert.ok(!isActive(null), "where free space cannot be told what is set aside decides");
});
