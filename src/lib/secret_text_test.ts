import assert from "node:assert/strict";
import { test } from "node:test";
import { hasHidden, hideSecrets } from "./secret_text.ts";

test("who and with which password is hidden, the rest of a URI is not", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["amqp://user:pass@host:1/v?heartbeat=1", "amqp://***@host:1/v?heartbeat=1"],
    ["amqp://user:p@ss@host", "amqp://***@host"],
    ["amqp://user:p/s?s#@host", "amqp://***@host"],
    ["amqps://user@host", "amqps://***@host"],
    ["amqps://host?keyfile=k&password=secret&verify=x", "amqps://host?keyfile=k&password=***&verify=x"],
    ["https://a:b@c/d and amqp://e:f@g", "https://***@c/d and amqp://***@g"],
    ["amqp://", "amqp://"],
    ["amqp://host/vhost", "amqp://host/vhost"],
    ["mail@example.org", "mail@example.org"],
    ["://x:y@z", "://***@z"],
    ["", ""],
  ];
  for (const [text, expected] of rows) {
    assert.equal(hideSecrets(text), expected);
    assert.equal(hideSecrets(expected), expected);
    assert.equal(hasHidden(expected), expected.includes("***"), expected);
  }
});

test("a long text takes no longer than its length", () => {
  for (const piece of ["a", "://", "@", "a://", "?password=", "://@ ", ":// "]) {
    assert.ok(hideSecrets(piece.repeat(300_000)).length > 0);
  }
});
