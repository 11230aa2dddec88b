// HTTPS as an operator sets it up: certificates given and renewed, mistakes told at start, and `leveret ctl` over it.

import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  BrokerProcess,
  commandOf,
  ONLY_AMQP,
  Program,
  temporaryDirectory,
  testTargets,
} from "../support/broker_process.ts";
import { askSecurely, type Certificate, makeCertificate, noCertificates } from "../support/certificates.ts";
import { Ctl } from "../support/ctl.ts";

const TEST_TIMEOUT_MS = 120_000;

for (const target of testTargets().filter((name) => name !== "command")) {
  describe(`HTTPS of ${target}`, { timeout: TEST_TIMEOUT_MS, skip: noCertificates }, () => {
    async function withBroker(
      act: (broker: BrokerProcess, certificate: Certificate) => Promise<void>,
    ): Promise<void> {
      const certificate = makeCertificate();
      const broker = await BrokerProcess.start(target, {
        args: ["--cert", certificate.certificatePath, "--key", certificate.keyPath, "--https-port", "0"],
      });
      try {
        await act(broker, certificate);
      } finally {
        await broker.dispose();
      }
    }

    it("is spoken by leveret ctl, which trusts whom it is told to", () =>
      withBroker(async (broker, { certificatePath }) => {
        const ctl = new Ctl(target);
        const uri = `https://guest:guest@127.0.0.1:${broker.httpsPort}`;
        const trusting = ["--tls-ca-cert-file", certificatePath];
        const done = await ctl.try([...trusting, "list_users", "-s"], { uri });
        assert.deepEqual([done.code, done.stderr], [0, ""]);
        assert.match(done.stdout, /^guest\t/);
        const refused = await ctl.try(["list_users"], { uri });
        assert.equal(refused.code, 69);
        assert.equal(
          refused.stderr,
          `leveret ctl: no answer from https://127.0.0.1:${broker.httpsPort}: its certificate is not trusted: ` +
            "--tls-ca-cert-file names those that are\n",
        );
        const elsewhere = await ctl.try([...trusting, "list_users"], { uri: uri.replace("127.0.0.1", "127.0.0.2") });
        assert.equal(elsewhere.code, 69);
      }));

    it("shows a renewed certificate after SIGHUP, and keeps the old one when the new one is of no use", () =>
      withBroker(async (broker, certificate) => {
        const line = (text: string) => broker.program.until(text, () => broker.stderr.includes(text) || undefined);
        const { certificatePath, keyPath } = certificate;
        const agentOf = (trusted: Certificate) => askSecurely(broker.httpsPort, trusted, "GET", "whoami");
        writeFileSync(keyPath, "");
        broker.program.kill("SIGHUP");
        await line(`SIGHUP: the certificate stays as it is: no private key in PEM in ${keyPath}`);
        assert.equal((await agentOf(certificate)).status, 200);
        const renewed = makeCertificate();
        copyFileSync(renewed.certificatePath, certificatePath);
        copyFileSync(renewed.keyPath, keyPath);
        broker.program.kill("SIGHUP");
        await line("SIGHUP: the certificate has been read anew");
        assert.equal((await agentOf(renewed)).status, 200);
        await assert.rejects(agentOf(certificate));
        assert.equal(await broker.terminate(), 0, broker.stderr);
      }));

    it("does not begin with a certificate that is of no use", async () => {
      const { program, args } = commandOf(target);
      const path = join(temporaryDirectory(), "none.crt");
      const serve = [...args, "serve", "--memory", "--port", "0", "--https-port", "0", "--cert", path];
      const started = new Program(program, serve, ONLY_AMQP);
      assert.equal((await started.waitForExit()).code, 1);
      assert.equal(started.stderr, `leveret: cannot read the TLS certificate ${path}: there is no such file\n`);
    });
  });
}
