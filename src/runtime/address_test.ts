import assert from "node:assert/strict";
import { test } from "node:test";
import { addressReason, addressText, resolveHost } from "./address.ts";

test("addresses and reasons are told in words", () => {
  assert.equal(addressText("127.0.0.1", 5672), "127.0.0.1:5672");
  assert.equal(addressText("::1", 5672), "[::1]:5672");
  assert.equal(addressReason({ code: "EADDRINUSE" }), "address already in use");
  assert.equal(addressReason(new Error("odd")), "odd");
});

test("an address stays itself, a name becomes one address", async () => {
  assert.equal(await resolveHost("0.0.0.0"), "0.0.0.0");
  assert.equal(await resolveHost("::"), "::");
  assert.match(await resolveHost("localhost"), /^(127\.0\.0\.1|::1)$/);
});
