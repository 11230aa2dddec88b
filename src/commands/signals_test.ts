import assert from "node:assert/strict";
import { test } from "node:test";
import { Signals } from "./signals.ts";

function signals(stop: () => Promise<void>) {
  const exits: (number | string)[] = [];
  const handler = new Signals({
    stop,
    exit: (code) => void exits.push(code),
    onStopFault: (fault) => void exits.push(`${fault}`),
    log: () => {},
  });
  return { handler, exits };
}

test("the first signal stops the broker, then the process ends with 0", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { handler, exits } = signals(() => promise);
  handler.serving();
  handler.receive("SIGTERM");
  await Promise.resolve();
  assert.deepEqual(exits, []);
  resolve();
  await promise;
  assert.deepEqual(exits, [0]);
});

test("a second signal ends the process at once with 1, while the broker is still stopping", () => {
  const { handler, exits } = signals(() => new Promise(() => {}));
  handler.serving();
  handler.receive("SIGTERM");
  handler.receive("SIGINT");
  assert.deepEqual(exits, [1]);
});

test("a signal before anything is served ends the process with 0", () => {
  const { handler, exits } = signals(() => Promise.reject(new Error("never started")));
  handler.receive("SIGINT");
  assert.deepEqual(exits, [0]);
});

test("a stop that fails is told", async () => {
  const { handler, exits } = signals(() => Promise.reject(new Error("disk gone")));
  handler.serving();
  handler.receive("SIGTERM");
  await Promise.resolve();
  await Promise.resolve();
  assert.deepEqual(exits, ["Error: disk gone"]);
});
