// Mosquitto's command-line clients, as scripts and people use them.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { after, describe, it } from "node:test";
import { Program, SharedBroker, testTargets } from "../support/broker_process.ts";
import { waitFor } from "../support/wait.ts";

const TEST_TIMEOUT_MS = 120_000;
const absent = ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr", "stdbuf"].filter((name) =>
  spawnSync(name, ["--help"]).error
);
/** With a line of its output as soon as it is printed. */
const lineByLine = (program: string, args: readonly string[]) => new Program("stdbuf", ["-oL", program, ...args]);
const missing = absent.length === 0 ? undefined : `${absent.join(", ")} not found`;
if (missing !== undefined) console.warn(`${missing}: mosquitto test skipped`);

for (const target of testTargets()) {
  describe(`mosquitto's clients against ${target}`, () => {
    const shared = new SharedBroker(target);
    after(() => shared.dispose());

    const it_ = (title: string, act: (port: string) => Promise<void>) =>
      it(missing === undefined ? title : `${missing}: ${title} skipped`, {
        timeout: TEST_TIMEOUT_MS,
        skip: missing,
      }, async () => await act(String((await shared.get()).mqttPort)));

    /** Runs to its end, which must be a good one; gives what it printed. */
    async function run(program: string, ...args: string[]): Promise<string> {
      const running = new Program(program, args);
      const { code } = await running.waitForExit(TEST_TIMEOUT_MS);
      assert.equal(code, 0, running.describe());
      return running.stdout;
    }

    for (const version of ["mqttv31", "mqttv311", "mqttv5"]) {
      it_(`${version}: every QoS both ways`, async (port) => {
        for (const qos of ["0", "1", "2"]) {
          const topic = `${version}/${qos}`;
          const base = ["-V", version, "-p", port, "-u", "guest", "-P", "guest"];
          const format = ["-F", "%t %q %r %p"];
          const sub = lineByLine("mosquitto_sub", [
            ...base,
            "-t",
            `${version}/+`,
            "-q",
            qos,
            "-C",
            "10",
            "-d",
            ...format,
          ]);
          await sub.until("SUBACK", () => /Subscribed|received SUBACK/.test(sub.stdout) || undefined);
          await run(
            "mosquitto_pub",
            ...base,
            "-t",
            topic,
            "-q",
            qos,
            "-m",
            "x",
            "--repeat",
            "10",
            "--repeat-delay",
            "0",
          );
          assert.equal((await sub.waitForExit()).code, 0);
          const lines = sub.stdout.split("\n").filter((line) => line.startsWith(topic));
          assert.deepEqual(lines, Array(10).fill(`${topic} ${qos} 0 x`));
        }
      });

      it_(`${version}: retained messages and wills`, async (port) => {
        const base = ["-V", version, "-p", port];
        await run("mosquitto_pub", ...base, "-t", `kept/${version}`, "-q", "1", "-r", "-m", "kept");
        const printed = await run("mosquitto_sub", ...base, "-t", `kept/${version}`, "-C", "1", "-F", "%r %p");
        assert.equal(printed, "1 kept\n");
        const watcher = lineByLine("mosquitto_sub", [...base, "-t", `will/${version}`, "-q", "1", "-C", "1", "-d"]);
        await watcher.until("SUBACK", () => /Subscribed|received SUBACK/.test(watcher.stdout) || undefined);
        const will = ["--will-topic", `will/${version}`, "--will-payload", "gone", "--will-qos", "1"];
        const dying = lineByLine("mosquitto_sub", [...base, "-t", "nothing", ...will, "-d"]);
        await dying.until("SUBACK", () => /Subscribed|received SUBACK/.test(dying.stdout) || undefined);
        dying.kill("SIGKILL");
        await watcher.waitForExit();
        assert.match(watcher.stdout, /^gone$/m);
      });
    }

    it_("a session waits for its client", async (port) => {
      const base = ["-p", port, "-i", "mosq-session", "-c", "-q", "1"];
      await run("mosquitto_sub", ...base, "-t", "waits", "-E");
      await run("mosquitto_pub", "-p", port, "-t", "waits", "-q", "1", "-m", "here");
      assert.equal(await run("mosquitto_sub", ...base, "-t", "waits", "-C", "1"), "here\n");
    });

    it_("request and response", async (port) => {
      const server = lineByLine("mosquitto_sub", [
        "-V",
        "5",
        "-p",
        port,
        "-t",
        "ask",
        "-C",
        "1",
        "-d",
        "-F",
        "%R|%D|%p",
      ]);
      await server.until("SUBACK", () => /Subscribed|received SUBACK/.test(server.stdout) || undefined);
      const rr = ["-V", "5", "-p", port, "-t", "ask", "-e", "answer/1", "-m", "question", "-q", "1"];
      const asker = new Program("mosquitto_rr", [...rr, "-D", "publish", "correlation-data", "c1"]);
      await server.waitForExit();
      assert.match(server.stdout, /^answer\/1\|c1\|question$/m);
      await run("mosquitto_pub", "-V", "5", "-p", port, "-t", "answer/1", "-m", "reply", "-q", "1");
      assert.equal((await asker.waitForExit()).code, 0);
      assert.equal(asker.stdout, "reply\n");
    });

    it_("$SYS topics", async (port) => {
      const printed = await run("mosquitto_sub", "-p", port, "-t", "$SYS/broker/version", "-C", "1");
      assert.match(printed, /^leveret version /);
    });

    it_("a wrong password is refused", async (port) => {
      const running = new Program("mosquitto_pub", ["-p", port, "-u", "guest", "-P", "no", "-t", "x", "-m", "x"]);
      await waitFor("its end", () => running.exit);
      assert.notEqual(running.exit?.code, 0);
      assert.match(running.stderr + running.stdout, /not authori|bad user name/i);
    });
  });
}
