import { test } from "node:test";
import assert from "node:assert/strict";
import { isLoopback, Users } from "./user.ts";

test("a user comes in with the right password only", () => {
  const users = new Users();
  users.add("guest", "guest", false);
  assert.equal(users.authenticate("guest", "guest", "10.0.0.1")?.name, "guest");
  assert.equal(users.authenticate("guest", "Guest", "127.0.0.1"), null);
  assert.equal(users.authenticate("guest", "", "127.0.0.1"), null);
  assert.equal(users.authenticate("nobody", "guest", "127.0.0.1"), null);
});

test("a blank password never lets anyone in", () => {
  const users = new Users();
  users.add("blank", "", false);
  assert.equal(users.authenticate("blank", "", "127.0.0.1"), null);
});

test("a loopback-only user comes from this machine only", () => {
  const users = new Users();
  users.add("guest", "guest", true);
  for (const host of ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "::FFFF:127.0.0.1"]) {
    assert.ok(isLoopback(host), host);
    assert.equal(users.authenticate("guest", "guest", host)?.name, "guest");
  }
  for (const host of ["10.0.0.1", "::2", "127.0.0.1.evil.example", "::ffff:10.0.0.1", "1127.0.0.1"]) {
    assert.ok(!isLoopback(host), host);
    assert.equal(users.authenticate("guest", "guest", host), null);
  }
});
