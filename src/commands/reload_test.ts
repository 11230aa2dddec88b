import assert from "node:assert/strict";
import { test } from "node:test";
import { defaultValues } from "../config/config.ts";
import type { OptionValues } from "../config/options.ts";
import { Reload } from "./reload.ts";

/** A reload that writes down what it does. */
function reloadFrom(
  values: OptionValues,
  read: () => OptionValues,
  renewCertificate = () => Promise.resolve(false),
): { reload: Reload; done: string[] } {
  const done: string[] = [];
  const reload = new Reload(values, read, {
    apply: ({ sync, freeDiskBytesMin }) => done.push(`sync ${sync}, free ${freeDiskBytesMin}`),
    log: (level) => done.push(`log ${level}`),
    info: (text) => done.push(text),
    warn: (text) => done.push(`warn: ${text}`),
    renewCertificate,
  });
  return { reload, done };
}

const VALUES: OptionValues = { ...defaultValues({}), freeDiskBytesMin: 5 };

test("what may change is changed, the rest is said to take a restart", async () => {
  const { reload, done } = reloadFrom(VALUES, () => ({ ...VALUES, freeDiskBytesMin: 6, amqpPort: 1, sync: false }));
  const restart = "warn: SIGHUP: [amqp] port has changed, which takes a restart";
  await reload.run();
  assert.deepEqual(done.splice(0), [
    "log info",
    "sync false, free 6",
    "SIGHUP: [main] sync is false now",
    "SIGHUP: [main] free_disk_min is 6 now",
    restart,
    "warn: sync is off: what is confirmed may be lost when the power goes",
  ]);
  await reload.run();
  assert.deepEqual(done, ["log info", "sync false, free 6", "SIGHUP: no setting has changed", restart]);
});

test("a secret that has changed is not printed", async () => {
  const { reload, done } = reloadFrom(VALUES, () => ({ ...VALUES, defaultPassword: "hunter2" }));
  await reload.run();
  assert.equal(done.at(-1), "warn: SIGHUP: [main] default_password has changed, which takes a restart");
});

test("settings that cannot be read change nothing", async () => {
  const { reload, done } = reloadFrom(VALUES, () => {
    throw new Error("unknown key 'snyc'");
  });
  await reload.run();
  assert.deepEqual(done, ["warn: SIGHUP: the settings stay as they are: unknown key 'snyc'"]);
});

test("the certificate is read again, and one that cannot be used ends nothing", async () => {
  const renewals = [() => Promise.resolve(true), () => Promise.reject(new Error("no private key in PEM in k"))];
  const { reload, done } = reloadFrom(VALUES, () => VALUES, () => renewals.shift()!());
  await reload.run();
  await reload.run();
  assert.deepEqual(done.filter((line) => line.includes("certificate")), [
    "SIGHUP: the certificate has been read anew",
    "warn: SIGHUP: the certificate stays as it is: no private key in PEM in k",
  ]);
});
