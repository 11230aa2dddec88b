import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { Entry } from "../definitions.ts";
import { Refusal } from "../refusal.ts";
import { isLoopback } from "./loopback.ts";
import { givenHash, hashPassword, NO_PASSWORD, verifyPassword } from "./password_hash.ts";
import { Users } from "./users.ts";

function setUp(loopbackOnly: readonly string[] = []): { users: Users; log: Entry[] } {
  const log: Entry[] = [];
  return { users: new Users({ append: (entry) => void log.push(entry) }, loopbackOnly), log };
}

test("a user logs in with the password, and with no other", () => {
  const { users } = setUp();
  users.put("ann", { password: hashPassword("pässword"), tags: ["monitoring"] });
  assert.deepEqual([...users.authenticate("ann", "pässword", "10.0.0.1")!.tags], ["monitoring"]);
  for (const wrong of ["", "pässwor", "passwordx", "Pässword"]) {
    assert.equal(users.authenticate("ann", wrong, "10.0.0.1"), null);
  }
  assert.equal(users.authenticate("bob", "pässword", "10.0.0.1"), null);
});

test("hashes that RabbitMQ made log in: SHA-256, SHA-512, MD5", () => {
  const { users } = setUp();
  // Made by rabbitmqctl 3.10.8 for the password `secret`.
  const sha256 = "mgpOcQGpKTXbpkX9Q7WL3DzD+4++8FQPaDKfJCjjAJo1wRLD";
  users.put("sha256", { password: givenHash(sha256, "rabbit_password_hashing_sha256") });
  const salted = (algorithm: string) => {
    const salt = Buffer.from([1, 2, 3, 4]);
    return Buffer.concat([salt, createHash(algorithm).update(salt).update("secret").digest()]).toString("base64");
  };
  users.put("sha512", { password: givenHash(salted("sha512"), "rabbit_password_hashing_sha512") });
  users.put("md5", { password: givenHash(salted("md5"), "rabbit_password_hashing_md5") });
  for (const name of ["sha256", "sha512", "md5"]) {
    assert.equal(users.authenticate(name, "secret", "::1")?.name, name);
    assert.equal(users.authenticate(name, "secres", "::1"), null);
  }
  users.put("mixed", { password: givenHash(sha256, "rabbit_password_hashing_sha512") });
  assert.equal(users.authenticate("mixed", "secret", "::1"), null);
});

test("nobody logs in as a user without a password, whatever the hash", () => {
  assert.throws(() => hashPassword(""), Refusal);
  assert.throws(() => givenHash("not base64!", "rabbit_password_hashing_sha256"), Refusal);
  const { users } = setUp();
  users.put("none", {});
  for (const hash of ["", "AAAA", "AAAAAA==", Buffer.alloc(36).toString("base64")]) {
    users.put("odd", { password: givenHash(hash, "rabbit_password_hashing_sha256") });
    for (const password of ["", "\0", "x"]) {
      assert.equal(users.authenticate("odd", password, "::1"), null);
      assert.equal(users.authenticate("none", password, "::1"), null);
    }
  }
  // The hash of a blank password is still a blank password.
  const blank = Buffer.concat([Buffer.alloc(4), createHash("sha256").update(Buffer.alloc(4)).digest()]);
  const { algorithm } = NO_PASSWORD;
  assert.equal(verifyPassword("", { algorithm, hash: blank.toString("base64") }), false);
});

test("a loopback-only user comes from this machine or not at all", () => {
  const { users } = setUp(["guest"]);
  users.put("guest", { password: hashPassword("guest") });
  for (const host of ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"]) {
    assert.equal(isLoopback(host), true);
    assert.notEqual(users.authenticate("guest", "guest", host), null);
  }
  for (const host of ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "127.0.0.1.example.com", ""]) {
    assert.equal(isLoopback(host), false);
    assert.equal(users.authenticate("guest", "guest", host), null);
  }
});

test("a change is seen by whoever holds the user, and is in the log", () => {
  const { users, log } = setUp();
  assert.equal(users.put("ann", { password: hashPassword("a"), tags: ["management"] }), true);
  const ann = users.get("ann");
  assert.equal(users.put("ann", { tags: ["administrator"], limits: { maxConnections: 2 } }), false);
  assert.deepEqual([[...ann.tags], ann.limits], [["administrator"], { maxConnections: 2 }]);
  assert.notEqual(users.authenticate("ann", "a", "::1"), null);
  const again = setUp().users;
  for (const entry of log) again.restore(JSON.parse(JSON.stringify(entry)));
  assert.deepEqual(again.get("ann").limits, { maxConnections: 2 });
  assert.notEqual(again.authenticate("ann", "a", "::1"), null);
  users.delete("ann");
  assert.deepEqual(log.at(-1), { op: "user-delete", name: "ann" });
  assert.throws(() => users.get("ann"), /user 'ann' does not exist/);
});

test("names and tags are bounded", () => {
  const { users } = setUp();
  for (const name of ["", "x".repeat(256), "a\nb", "a\0"]) assert.throws(() => users.put(name, {}), Refusal);
  assert.throws(() => users.put("x", { tags: Array(33).fill("t") }), /at most 32 tags/);
  users.put("ö".repeat(127), { tags: ["own tag"] });
});
