import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultValues } from "../config/config.ts";
import type { OptionValues } from "../config/options.ts";
import { Reload } from "./reload.ts";

/** A reload that writes down what it does. */
function reloadFrom(values: OptionValues, read: () => OptionValues): { reload: Reload; done: string[] } {
  const done: string[] = [];
  const reload = new Reload(values, read, {
    apply: ({ sync, freeDiskBytesMin }) => done.push(`sync ${sync}, free ${freeDiskBytesMin}`),
    log: (level) => done.push(`log ${level}`),
    info: (text) => done.push(text),
    warn: (text) => done.push(`warn: ${text}`),
  });
  return { reload, done };
}

const VALUES: OptionValues = { ...defaultValues({}), freeDiskBytesMin: 5 };

test("what may change is changed, the rest is said to take a restart", () => {
  const { reload, done } = reloadFrom(VALUES, () => ({ ...VALUES, freeDiskBytesMin: 6, amqpPort: 1, sync: false }));
  const restart = "warn: SIGHUP: [amqp] port has changed, which takes a restart";
  reload.run();
  assert.deepEqual(done.splice(0), [
    "log info",
    "sync false, free 6",
    "SIGHUP: [main] sync is false now",
    "SIGHUP: [main] free_disk_min is 6 now",
    restart,
    "warn: sync is off: what is confirmed may be lost when the power goes",
  ]);
  reload.run();
  assert.deepEqual(done, ["log info", "sync false, free 6", "SIGHUP: no setting has changed", restart]);
});

test("a secret that has changed is not printed", () => {
  const { reload, done } = reloadFrom(VALUES, () => ({ ...VALUES, defaultPassword: "hunter2" }));
  reload.run();
  assert.equal(done.at(-1), "warn: SIGHUP: [main] default_password has changed, which takes a restart");
});

test("settings that cannot be read change nothing", () => {
  const { reload, done } = reloadFrom(VALUES, () => {
    throw new Error("unknown key 'snyc'");
  });
  reload.run();
  assert.deepEqual(done, ["warn: SIGHUP: the settings stay as they are: unknown key 'snyc'"]);
});
