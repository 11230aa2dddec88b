// `leveret ctl` apart from its commands: the socket that needs no password, exit codes, one line for what goes wrong; for
// each way to run it.

import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { BrokerProcess, commandOf, Program, testTargets } from "../support/broker_process.ts";
import { Ctl } from "../support/ctl.ts";

const TEST_TIMEOUT_MS = 240_000;
const WHOLE_TIMEOUT_MS = 20 * 60_000;

for (const target of testTargets()) {
  if (target === "command") continue;
  describe(`leveret ctl, ${target}`, { timeout: WHOLE_TIMEOUT_MS }, () => {
    const ctl = new Ctl(target);
    after(() => ctl.dispose());
    const test = (name: string, act: () => Promise<void>) => it(name, { timeout: TEST_TIMEOUT_MS }, act);

    test("the socket in the data directory needs no password, and only its owner opens it", async () => {
      const broker = await ctl.broker;
      const socket = join(broker.dataDir, "http.sock");
      assert.equal(statSync(socket).mode & 0o777, 0o600);
      // Neither the default user nor its permissions matter.
      const local = ["--data-dir", broker.dataDir];
      const uri = "http://nobody:wrong@127.0.0.1:1";
      const succeed = async (...words: string[]) => {
        const { code, stdout, stderr } = await ctl.try([...local, ...words], { uri });
        assert.deepEqual([code, stderr], [0, ""], words.join(" "));
        return stdout;
      };
      await succeed("add_vhost", "walled");
      assert.equal(await succeed("list_permissions", "-s", "-p", "walled"), "");
      await succeed("declare_queue", "-p", "walled", "inside");
      await succeed("publish", "-p", "walled", "inside", "hello");
      assert.match(await succeed("list_queues", "-s", "-p", "walled"), /^inside\t1\n$/);
      await succeed("authenticate_user", "guest", "guest");
      assert.equal((await ctl.try([...local, "authenticate_user", "guest", "wrong"])).code, 1);
      await succeed("delete_vhost", "walled");
      await ctl.refuses(2, /--data-dir.*cannot be used with.*--uri/, ...local, "--uri", "http://x", "list_users");
      await ctl.refuses(69, /^no answer from .*http\.sock: /, "--data-dir", join(broker.dataDir, "none"), "list_users");

      const second = await BrokerProcess.start(target, { http: true });
      const itsSocket = join(second.dataDir, "http.sock");
      try {
        await second.kill9();
        assert.ok(existsSync(itsSocket));
        await second.restart();
        const { code } = await ctl.try(["--data-dir", second.dataDir, "list_users"]);
        assert.equal(code, 0, "what a killed broker left is replaced");
        assert.equal(await second.terminate(), 0);
        assert.ok(!existsSync(itsSocket), "it goes with the broker");
      } finally {
        await second.dispose();
      }
    });

    test("bad usage ends it with 2 and the nearest right word, and an unreachable broker with 69", async () => {
      await ctl.refuses(2, "unknown command 'list_queus'; did you mean 'list_queues'?", "list_queus");
      await ctl.refuses(2, "unknown option '--jsno'; did you mean '--json'?", "list_queues", "--jsno");
      await ctl.refuses(2, "list_queues: unknown column 'mesages'; did you mean 'messages'?", "list_queues", "mesages");
      await ctl.refuses(2, /^bind: missing required argument 'destination'/, "bind", "ex");
      await ctl.refuses(2, /^list_user_permissions: too many arguments/, "list_user_permissions", "a", "b");
      await ctl.refuses(2, /^declare_queue: .*--argument.*name=value expected/, "declare_queue", "q", "-a", "x");
      await ctl.refuses(1, "queues of vhost 'none': not found", "list_queues", "-p", "none");
      const none = await ctl.try([]);
      assert.deepEqual([none.code, none.stdout], [2, ""]);
      assert.match(none.stderr, /^Usage: leveret ctl /);
      const off = await ctl.try(["list_queues"], { uri: "http://guest:hush@127.0.0.1:1" });
      assert.deepEqual(off, {
        code: 69,
        stdout: "",
        stderr: "leveret ctl: no answer from http://127.0.0.1:1: connection refused\n",
      });
      // A password appears in nothing that goes wrong.
      for (
        const uri of [
          "http://guest:hush@[",
          "amqp://guest:hush@x",
          "http://guest:hu%zzsh@x",
          await ctl.uri("guest:hush"),
        ]
      ) {
        const { code, stdout, stderr } = await ctl.try(["list_users"], { uri });
        assert.ok(code === 1 || code === 2, stderr);
        assert.match(stderr, /^leveret ctl: [^\n]*\n$/);
        assert.ok(!`${stdout}${stderr}`.includes("hu"), stderr);
      }
      await ctl.do("--uri", await ctl.uri(), "list_users");
    });

    test("whoever is no administrator is told what it may not", async () => {
      await ctl.do("add_user", "eve", "secret", "--tags", "management");
      const uri = await ctl.uri("eve:secret");
      const { code, stderr } = await ctl.try(["delete_user", "guest"], { uri });
      assert.deepEqual([code, stderr], [1, "leveret ctl: user 'guest': user 'eve' may not: Not administrator user\n"]);
      assert.equal((await ctl.try(["list_vhosts"], { uri })).code, 0);
      await ctl.do("delete_user", "eve");
    });

    test("a reader that has had enough ends it quietly", async () => {
      const { program, args } = commandOf(target);
      const command = [program, ...args, "ctl", "--uri", await ctl.uri(), "list_exchanges"].join(" ");
      const shell = new Program("bash", ["-c", `${command} | true`], {});
      assert.equal((await shell.waitForExit()).code, 0);
      assert.equal(shell.stderr, "");
    });
  });
}
