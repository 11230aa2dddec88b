import assert from "node:assert/strict";
import { test } from "node:test";
import { AmqpUriFault, parseAmqpUri, redactUri } from "./amqp_uri.ts";

test("a bare host takes every default", () => {
  assert.deepEqual(parseAmqpUri("amqp://localhost"), {
    host: "localhost",
    port: 5672,
    user: "guest",
    password: "guest",
    virtualHost: "/",
    heartbeatS: null,
    frameBytesMax: null,
    channelMax: null,
  });
});

test("every part is taken and percent-decoded", () => {
  const uri = parseAmqpUri(
    "amqp://us%40er:p%3Aw%2F%23@broker.example:1234/a%2Fb%20c?heartbeat=7&frame_max=8192&channel_max=9",
  );
  assert.deepEqual(uri, {
    host: "broker.example",
    port: 1234,
    user: "us@er",
    password: "p:w/#",
    virtualHost: "a/b c",
    heartbeatS: 7,
    frameBytesMax: 8192,
    channelMax: 9,
  });
});

test("an empty path and %2F are both the default virtual host", () => {
  assert.equal(parseAmqpUri("amqp://h/").virtualHost, "/");
  assert.equal(parseAmqpUri("amqp://h/%2F").virtualHost, "/");
});

test("an IPv6 address loses its brackets", () => {
  const { host, port } = parseAmqpUri("amqp://[::1]:5673");
  assert.deepEqual([host, port], ["::1", 5673]);
});

test("what is wrong is said without the secret", () => {
  const wrong = [
    "http://u:secret@h",
    "amqps://u:secret@h",
    "amqp://u:secret%zz@h",
    "amqp://u:secret@h?heartbeat=x",
    "amqp://u:secret@h?frame_max=10",
    "amqp://u:secret@h:port",
    "u:secret@h",
  ];
  for (const text of wrong) {
    assert.throws(
      () => parseAmqpUri(text),
      (error) => error instanceof AmqpUriFault && !error.message.includes("secret"),
      text,
    );
  }
});

test("a redacted URI keeps all but the password", () => {
  assert.equal(redactUri("amqp://user:pa:ss@host:1/v?heartbeat=1"), "amqp://user:***@host:1/v?heartbeat=1");
  assert.equal(redactUri("amqp://user:p@ss@host"), "amqp://user:***@host");
  assert.equal(redactUri("amqp://user:p/ss@host"), "amqp://user:***@host");
  assert.equal(redactUri("amqp://user@host"), "amqp://user@host");
  assert.equal(redactUri("amqp://host/v"), "amqp://host/v");
});
