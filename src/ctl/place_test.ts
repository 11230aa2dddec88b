import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { CtlFault } from "./fault.ts";
import { placeOf, placeOfUri, URI_DEFAULT } from "./place.ts";

test("a URI names place and user, and what it leaves out is as everywhere", () => {
  const unsecured = { socketPath: null, secure: false, trusted: null };
  const plain = { ...unsecured, host: "127.0.0.1", port: 15672, prefix: "", user: "guest", password: "guest" };
  assert.deepEqual(placeOfUri("http://127.0.0.1"), { ...plain, text: "http://127.0.0.1:15672" });
  assert.deepEqual(placeOfUri("http://ann%40x:p%3A%2F@[::1]:80/mq/"), {
    ...unsecured,
    host: "::1",
    port: 80,
    prefix: "/mq",
    user: "ann@x",
    password: "p:/",
    text: "http://[::1]:80",
  });
  assert.equal(placeOfUri("http://ann@h:1").password, "");
  const { secure, port, text } = placeOfUri("https://h");
  assert.deepEqual([secure, port, text], [true, 15671, "https://h:15671"]);
  assert.equal(placeOfUri("https://h:443/mq").port, 443);
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

test("certificates are read for https alone, from where the flag or the environment says", () => {
  const directory = mkdtempSync(join(tmpdir(), "leveret-"));
  try {
    const [file, other] = [join(directory, "ca.pem"), join(directory, "other")];
    const pem = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    writeFileSync(file, pem);
    writeFileSync(other, "");
    const variable = { LEVERET_CTL_TLS_CA_CERT_FILE: file };
    assert.equal(placeOf({ uri: "https://h", tlsCaCertFile: file }, {}).trusted, pem);
    assert.equal(placeOf({ uri: "https://h" }, variable).trusted, pem);
    assert.equal(placeOf({ uri: "http://h" }, variable).trusted, null);
    assert.throws(() => placeOf({ uri: "http://h", tlsCaCertFile: file }, {}), { exitCode: 2 });
    assert.throws(() => placeOf({ uri: "https://h", tlsCaCertFile: other }, {}), /no certificate in PEM/);
    assert.throws(() => placeOf({ uri: "https://h", tlsCaCertFile: `${file}x` }, {}), /cannot read/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("flags go before the environment, and a socket that may be opened before the address that everybody has", () => {
  const directory = mkdtempSync(join(tmpdir(), "leveret-"));
  try {
    const socket = join(directory, "http.sock");
    const environment = { LEVERET_CTL_URI: "http://env:1", LEVERET_DATA_DIR: directory };
    assert.equal(placeOf({ uri: "http://flag:1" }, environment).host, "flag");
    assert.equal(placeOf({ dataDir: directory }, environment).socketPath, socket);
    assert.equal(placeOf({}, environment).host, "env");
    const local = { LEVERET_DATA_DIR: directory };
    assert.deepEqual(placeOf({}, local), placeOfUri(URI_DEFAULT));
    writeFileSync(socket, "");
    assert.deepEqual([placeOf({}, local).socketPath, placeOf({}, local).text], [socket, socket]);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
