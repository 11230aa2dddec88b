// The HTTP API over TLS: who never ends a handshake, certificates that are renewed or useless, what the broker says of them.

import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { Agent } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { connect as connectSecurely } from "node:tls";
import { type HttpsServer, listenHttps } from "../../src/runtime/https_server.ts";
import { readTlsIdentity, type TlsVersion } from "../../src/runtime/tls_identity.ts";
import { temporaryDirectory } from "../support/broker_process.ts";
import { askSecurely, type Certificate, makeCertificate, noCertificates, openssl } from "../support/certificates.ts";
import { HttpApi } from "../support/http_api.ts";
import { waitFor, within } from "../support/wait.ts";

const LIMITS = { connectionsMax: 20, headersMs: 60_000, requestMs: 60_000, stallMs: 60_000, handshakeMs: 1_000 };

describe("HTTPS", { skip: noCertificates }, () => {
  const servers: HttpsServer[] = [];
  const directory = temporaryDirectory();
  after(() => Promise.all(servers.map((server) => server.close())));

  const identityOf = (certificate: Certificate, versionMin: TlsVersion = "1.2") =>
    readTlsIdentity({ ...certificate, versionMin });

  async function listen(certificate: Certificate, versionMin: TlsVersion = "1.2"): Promise<HttpsServer> {
    const address = { host: "127.0.0.1", port: 0 };
    const hello = () => Promise.resolve(new Response("hello"));
    const server = await listenHttps(address, identityOf(certificate, versionMin), hello, LIMITS);
    servers.push(server);
    return server;
  }

  test("who does not come to the end of the handshake is cut off, and counts until then", async () => {
    const certificate = makeCertificate({ directory });
    const server = await listen(certificate);
    const peers = Array.from({ length: LIMITS.connectionsMax + 5 }, (_, index) => {
      const peer = connect(server.address.port, "127.0.0.1");
      peer.on("error", () => {});
      // The beginning of a handshake, or nothing.
      if (index % 2 === 0) peer.write("\x16\x03\x01\x02\x00\x01\x00", "latin1");
      return new Promise<void>((resolve) => peer.on("close", () => resolve()).resume());
    });
    await within("one too many to be turned away", Promise.race(peers));
    assert.ok(server.connectionCount <= LIMITS.connectionsMax);
    await within("all to be cut off", Promise.all(peers));
    await waitFor("nobody", () => server.connectionCount === 0);
    assert.equal((await askSecurely(server.address.port, certificate, "GET", "/")).text, "hello");
  });

  test("what is no TLS is cut off", async () => {
    const { address: { port } } = await listen(makeCertificate({ directory }));
    const peer = connect(port, "127.0.0.1").resume();
    peer.on("error", () => {});
    peer.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    await within("its end", new Promise<void>((resolve) => peer.on("close", () => resolve())));
  });

  test("nothing older than TLS 1.2 is spoken, or what the setting says", async () => {
    const certificate = makeCertificate({ directory });
    const protocol = (port: number, version: "TLSv1.1" | "TLSv1.2" | "TLSv1.3") =>
      new Promise<string>((resolve) => {
        const range = { minVersion: version, maxVersion: version, ca: certificate.certificate };
        const socket = connectSecurely({ port, host: "127.0.0.1", ...range }, () => {
          resolve(socket.getProtocol() ?? "");
          socket.destroy();
        });
        socket.on("error", () => resolve("refused"));
      });
    const { address: { port } } = await listen(certificate);
    assert.equal(await protocol(port, "TLSv1.1"), "refused");
    assert.equal(await protocol(port, "TLSv1.2"), "TLSv1.2");
    assert.equal(await protocol(port, "TLSv1.3"), "TLSv1.3");
    const { address: { port: newer } } = await listen(certificate, "1.3");
    assert.equal(await protocol(newer, "TLSv1.2"), "refused");
    assert.equal(await protocol(newer, "TLSv1.3"), "TLSv1.3");
  });

  test("a new certificate is for connections from then on; those that are open go on", async () => {
    const [old, renewed] = [makeCertificate({ directory }), makeCertificate({ directory })];
    const server = await listen(old);
    const { port } = server.address;
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      assert.equal((await askSecurely(port, old, "GET", "/", { agent })).text, "hello");
      server.renew(identityOf(renewed));
      assert.equal((await askSecurely(port, old, "GET", "/", { agent })).text, "hello");
      assert.equal((await askSecurely(port, renewed, "GET", "/")).text, "hello");
      await assert.rejects(askSecurely(port, old, "GET", "/"));
    } finally {
      agent.destroy();
    }
  });

  test("files that cannot be used are named with what is wrong with them", () => {
    const [certificate, other] = [makeCertificate({ directory }), makeCertificate({ directory })];
    const { certificatePath, keyPath } = certificate;
    const file = (name: string, text: string) => {
      const path = join(directory, name);
      writeFileSync(path, text);
      return path;
    };
    const locked = join(directory, "locked.key");
    openssl("pkey", "-in", keyPath, "-aes128", "-passout", "pass:carrots", "-out", locked);
    const key = readFileSync(keyPath, "utf8");
    const damaged = (text: string) => text.replace(/\n(.{20})/, "\n????????");
    const damagedCertificate = file("d.crt", damaged(certificate.certificate));
    const damagedKey = file("d.key", damaged(key));
    const rows: readonly (readonly [string, string, string])[] = [
      ["/not/there", keyPath, "cannot read the TLS certificate /not/there: there is no such file"],
      [certificatePath, "/not/there", "cannot read the TLS key /not/there: there is no such file"],
      [keyPath, keyPath, `no certificate in PEM in ${keyPath}`],
      [certificatePath, "", `no private key in PEM in ${certificatePath}`],
      [certificatePath, locked, `the key in ${locked} has a password: expected one without`],
      [damagedCertificate, keyPath, `a certificate in ${damagedCertificate} is damaged`],
      [certificatePath, damagedKey, `the private key in ${damagedKey} is damaged`],
      [
        certificatePath,
        other.keyPath,
        `the key in ${other.keyPath} is not that of the first certificate in ${certificatePath}`,
      ],
    ];
    for (const [certificatePath, keyPath, message] of rows) {
      const read = () => readTlsIdentity({ certificatePath, keyPath, versionMin: "1.2" });
      assert.throws(read, { name: "TlsFault", message });
    }
    const both = file("both.pem", `${key}\n${certificate.certificate}${other.certificate}`);
    const identity = readTlsIdentity({ certificatePath: both, keyPath: "", versionMin: "1.2" });
    assert.equal(identity.validity.length, 2);
    assert.equal(identity.certificate.match(/BEGIN CERTIFICATE/g)!.length, 2);
  });

  test("a broker shows its listener and its certificate, and takes a renewed one", async () => {
    const [short, long] = [makeCertificate({ days: 10, directory }), makeCertificate({ days: 100, directory })];
    const tls = { certificate: short.certificatePath, key: short.keyPath };
    const api = new HttpApi({ tls, http: { port: 0, tlsPort: 0 } });
    try {
      const broker = await api.broker;
      const port = await api.port("https");
      const get = async (trusted: Certificate, path: string) => await askSecurely(port, trusted, "GET", path);
      const overview = (await get(short, "overview")).json;
      const listener = overview.listeners.find(({ protocol }: { protocol: string }) => protocol === "https");
      assert.deepEqual([listener.ip_address, listener.port], ["127.0.0.1", port]);
      const [node] = (await get(short, "nodes")).json;
      const context = node.contexts.find(({ protocol }: { protocol: string }) => protocol === "https");
      assert.deepEqual([context.port, context.ssl_opts.certfile], [`${port}`, short.certificatePath]);
      assert.equal((await get(short, "health/checks/protocol-listener/https")).status, 200);
      assert.equal((await get(short, `health/checks/port-listener/${port}`)).status, 200);

      const expiry = (within: number, unit: string, trusted = short) =>
        get(trusted, `health/checks/certificate-expiration/${within}/${unit}`);
      assert.deepEqual((await expiry(1, "weeks")).json, { status: "ok" });
      const failed = await expiry(2, "Weeks");
      assert.equal(failed.status, 503);
      const { status, reason, expired: [expired] } = failed.json;
      assert.deepEqual([status, reason], ["failed", "Certificates expiring"]);
      assert.deepEqual([expired.protocol, expired.port, expired.certfile], ["https", port, short.certificatePath]);
      assert.match(expired.certfile_expires_on[0], /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
      assert.equal((await expiry(1, "fortnights")).status, 400);

      assert.equal(await broker.renewCertificate(), false);
      writeFileSync(short.keyPath, "half written");
      await assert.rejects(broker.renewCertificate(), { name: "TlsFault" });
      assert.equal((await get(short, "overview")).status, 200);
      copyFileSync(long.certificatePath, short.certificatePath);
      copyFileSync(long.keyPath, short.keyPath);
      assert.equal(await broker.renewCertificate(), true);
      assert.deepEqual((await expiry(2, "weeks", long)).json, { status: "ok" });
      await assert.rejects(get(short, "overview"));
    } finally {
      await api.stop();
    }
  });

  test("over TLS alone, and not without a certificate", async () => {
    const certificate = makeCertificate({ directory });
    const tls = { certificate: certificate.certificatePath, key: certificate.keyPath };
    const secure = new HttpApi({ tls, http: { tlsPort: 0 }, metrics: { port: -1 } });
    const plain = new HttpApi({ http: { port: 0, tlsPort: 0 } });
    const broken = new HttpApi({ tls: { certificate: "/not/there" }, http: { port: 0, tlsPort: 0 } });
    try {
      const protocols = async (api: HttpApi) => (await api.broker).listeners.map(({ protocol }) => protocol);
      assert.deepEqual(await protocols(secure), ["amqp", "https"]);
      assert.equal((await askSecurely(await secure.port("https"), certificate, "GET", "whoami")).json.name, "guest");
      assert.deepEqual(await protocols(plain), ["amqp", "http", "metrics"]);
      await assert.rejects(broken.broker, /cannot read the TLS certificate \/not\/there: there is no such file/);
    } finally {
      await secure.stop();
      await plain.stop();
    }
    await assert.rejects(
      new HttpApi({ tls: { key: "k" } }).broker,
      /'tls_key' in \[main\] is there without 'tls_cert'/,
    );
  });
});
