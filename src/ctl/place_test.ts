import assert from "node:assert/strict";
import { test } from "node:test";
import { CtlFault } from "./fault.ts";
import { placeOfUri } from "./place.ts";

test("a URI names place and user, and what it leaves out is as everywhere", () => {
  const plain = { host: "127.0.0.1", port: 15672, prefix: "", user: "guest", password: "guest" };
  assert.deepEqual(placeOfUri("http://127.0.0.1"), { ...plain, text: "http://127.0.0.1:15672" });
  assert.deepEqual(placeOfUri("http://ann%40x:p%3A%2F@[::1]:80/mq/"), {
    host: "::1",
    port: 80,
    prefix: "/mq",
    user: "ann@x",
    password: "p:/",
    text: "http://[::1]:80",
  });
  assert.equal(placeOfUri("http://ann@h:1").password, "");
});

test("what is no http URI is refused, and its password is not repeated", () => {
  for (
    const uri of [
      "",
      "nowhere",
      "http://a:secret@",
      "amqp://a:secret@h",
      "http://a:sec%zzret@h",
      "http://a:secret@h:99999",
    ]
  ) {
    assert.throws(() => placeOfUri(uri), (error) => {
      return error instanceof CtlFault && error.exitCode === 2 && !error.message.includes("sec");
    }, uri);
  }
});
