// `leveret ctl` as administrators and their scripts meet it: every command once against a real broker, what it did told by
// the API or a listing; names of all kinds; passwords that stay unseen; for each way to run it.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import * as amqplib from "amqplib";
import { temporaryDirectory, testTargets } from "../support/broker_process.ts";
import { Ctl } from "../support/ctl.ts";
import { waitFor } from "../support/wait.ts";

const TEST_TIMEOUT_MS = 240_000;
const WHOLE_TIMEOUT_MS = 20 * 60_000;

/** Some sixty processes for each: FULL=1 runs them in every form. What ctl does within is tested in both runtimes beside it. */
const targets = process.env.FULL === "1" ? testTargets() : testTargets().filter((target) => target !== "deno");

for (const target of targets) {
  if (target === "command") continue;
  describe(`leveret ctl, ${target}`, { timeout: WHOLE_TIMEOUT_MS }, () => {
    const ctl = new Ctl(target);
    after(() => ctl.dispose());
    const test = (name: string, act: () => Promise<void>) => it(name, { timeout: TEST_TIMEOUT_MS }, act);

    test("users are made, changed and deleted, and their passwords come from standard input", async () => {
      await ctl.do("add_user", "anna", "secret", "--tags", "monitoring,policymaker");
      await ctl.refuses(1, "user 'anna' is there already", "add_user", "anna", "other");
      assert.deepEqual(await ctl.rows("list_users"), [["anna", "[monitoring, policymaker]"], [
        "guest",
        "[administrator]",
      ]]);
      await ctl.do("authenticate_user", "anna", "secret");
      await ctl.doWith("new one\n", "change_password", "anna", "-");
      await ctl.doWith("new one", "authenticate_user", "anna");
      await ctl.refuses(1, "user 'anna' or its password is refused", "authenticate_user", "anna", "secret");
      await ctl.do("set_user_tags", "anna");
      // Without a tag it may not use the API, and its password is what it was.
      await ctl.do("authenticate_user", "anna", "new one");
      assert.deepEqual((await ctl.api("users/anna")).tags, []);
      await ctl.do("set_user_tags", "anna", "management", "impersonator");
      assert.deepEqual((await ctl.api("users/anna")).tags, ["management", "impersonator"]);
      const hash = (await ctl.doWith("hashed\n", "hash_password")).trim();
      assert.match(hash, /^[A-Za-z0-9+/]{48}$/);
      await ctl.do("add_user", "bert", hash, "--pre-hashed-password");
      await ctl.do("authenticate_user", "bert", "hashed");
      await ctl.do("clear_password", "bert");
      await ctl.refuses(1, /^user 'bert' or its password is refused$/, "authenticate_user", "bert", "hashed");
      await ctl.do("delete_user", "bert");
      await ctl.refuses(1, "user 'bert': not found", "delete_user", "bert");
      await ctl.refuses(1, "user 'bert': not found", "change_password", "bert", "x");
      await ctl.refuses(2, "a password is expected on standard input", "add_user", "carl");
    });

    test("virtual hosts, permissions and limits", async () => {
      await ctl.do(
        "add_vhost",
        "staging",
        "--description",
        "to try",
        "--tags",
        "a,b",
        "--default-queue-type",
        "quorum",
      );
      await ctl.refuses(1, "vhost 'staging' is there already", "add_vhost", "staging");
      const rows = await ctl.rows("list_vhosts", "name", "description", "tags");
      assert.deepEqual(rows, [["/", "", "[]"], ["staging", "to try", "[a, b]"]]);
      await ctl.do("add_user", "dora", "secret");
      await ctl.do("set_permissions", "-p", "staging", "dora", "^d", "", ".*");
      assert.deepEqual(await ctl.rows("list_permissions", "--vhost", "staging"), [["dora", "^d", "", ".*"], [
        "guest",
        ".*",
        ".*",
        ".*",
      ]]);
      assert.deepEqual(await ctl.rows("list_user_permissions", "dora"), [["staging", "^d", "", ".*"]]);
      await ctl.refuses(1, "user 'nobody': not found", "set_permissions", "nobody", "", "", "");
      await ctl.refuses(1, "vhost 'none': not found", "set_permissions", "-p", "none", "dora", "", "", "");
      await ctl.refuses(
        1,
        /^permissions of user 'dora' in vhost '\/': .*regular/,
        "set_permissions",
        "dora",
        "(",
        "",
        "",
      );
      for (const exchange of ["amq.topic", "other"]) {
        await ctl.do("set_topic_permissions", "-p", "staging", "dora", exchange, "^a", "^b");
      }
      assert.deepEqual(await ctl.rows("list_user_topic_permissions", "dora"), [["staging", "amq.topic", "^a", "^b"], [
        "staging",
        "other",
        "^a",
        "^b",
      ]]);
      await ctl.do("clear_topic_permissions", "-p", "staging", "dora", "other");
      assert.deepEqual(await ctl.rows("list_topic_permissions", "-p", "staging"), [["dora", "amq.topic", "^a", "^b"]]);
      await ctl.do("clear_topic_permissions", "-p", "staging", "dora");
      assert.deepEqual(await ctl.rows("list_topic_permissions", "-p", "staging"), []);
      await ctl.do("clear_permissions", "-p", "staging", "dora");
      await ctl.refuses(
        1,
        /^permissions of user 'dora' in vhost 'staging': not/,
        "clear_permissions",
        "-p",
        "staging",
        "dora",
      );

      await ctl.do("set_vhost_limits", "-p", "staging", '{"max-connections": 7, "max-queues": 3}');
      const limits = { "max-connections": 7, "max-queues": 3 };
      assert.deepEqual(await ctl.json("list_vhost_limits", "vhost", "limits"), [{ vhost: "staging", limits }]);
      await ctl.do("clear_vhost_limits", "-p", "staging");
      assert.deepEqual(await ctl.rows("list_vhost_limits"), []);
      await ctl.do("set_user_limits", "dora", '{"max-connections": 2, "max-channels": 9}');
      await ctl.do("clear_user_limits", "dora", "max-channels");
      assert.deepEqual(await ctl.rows("list_user_limits"), [["dora", '{"max-connections":2}']]);
      await ctl.do("clear_user_limits", "dora", "all");
      assert.deepEqual(await ctl.rows("list_user_limits"), []);
      await ctl.refuses(2, /^what is to be set is not JSON/, "set_user_limits", "dora", "{");
      await ctl.do("delete_vhost", "staging");
      assert.deepEqual(await ctl.rows("list_vhosts"), [["/"]]);
      await ctl.refuses(1, "vhost 'staging': not found", "delete_vhost", "staging");
      await ctl.do("delete_user", "dora");
    });

    test("policies and parameters", async () => {
      await ctl.do("set_policy", "short", "^s\\.", '{"max-length": 3}', "--priority", "5", "--apply-to", "queues");
      assert.deepEqual(await ctl.rows("list_policies"), [["/", "short", "^s\\\\.", "queues", '{"max-length":3}', "5"]]);
      await ctl.do("set_operator_policy", "cap", ".*", '{"message-ttl": 60000}', "--apply-to", "queues");
      assert.deepEqual((await ctl.json("list_operator_policies"))[0].definition, { "message-ttl": 60000 });
      await ctl.refuses(2, /^the definition is not JSON/, "set_policy", "bad", ".*", "max-length=3");
      await ctl.refuses(1, /^policy 'bad' in vhost '\/': /, "set_policy", "bad", ".*", '{"no-such-key": 1}');
      await ctl.do("clear_policy", "short");
      await ctl.do("clear_operator_policy", "cap");
      await ctl.refuses(1, "policy 'short' in vhost '/': not found", "clear_policy", "short");
      await ctl.refuses(1, "operator policy 'cap' in vhost '/': not found", "clear_operator_policy", "cap");
      assert.deepEqual(await ctl.rows("list_policies"), []);

      await ctl.do("set_global_parameter", "site", '{"where": "here"}');
      assert.deepEqual(await ctl.rows("list_global_parameters"), [["site", '{"where":"here"}']]);
      await ctl.do("clear_global_parameter", "site");
      assert.deepEqual(await ctl.rows("list_global_parameters"), []);
      await ctl.do("set_parameter", "mine", "one", '{"a": [1]}');
      assert.deepEqual(await ctl.rows("list_parameters"), [["mine", "one", '{"a":[1]}']]);
      await ctl.do("clear_parameter", "mine", "one");
      await ctl.refuses(1, "parameter 'one' of 'mine': not found", "clear_parameter", "mine", "one");
    });

    test("queues, exchanges and bindings", async () => {
      await ctl.do(
        "declare_queue",
        "q1",
        "--type",
        "quorum",
        "-a",
        "x-max-length=10",
        "--arguments",
        '{"x-expires":900000}',
      );
      await ctl.do("create_queue", "q2", "--transient", "--auto-delete");
      const args = { "x-expires": 900_000, "x-max-length": 10, "x-queue-type": "quorum" };
      assert.deepEqual(await ctl.json("list_queues", "name", "durable", "auto_delete", "arguments"), [
        { name: "q1", durable: true, auto_delete: false, arguments: args },
        { name: "q2", durable: false, auto_delete: true, arguments: {} },
      ]);
      await ctl.refuses(1, /^queue 'q1' in vhost '\/': inequivalent arg/, "declare_queue", "q1");
      await ctl.do("declare_exchange", "ex", "topic");
      await ctl.do("declare_exchange", "inner", "fanout", "--internal", "--transient");
      const exchanges = await ctl.rows("list_exchanges", "name", "type", "durable", "internal");
      assert.deepEqual(exchanges.filter(([name]) => name === "ex" || name === "inner"), [[
        "ex",
        "topic",
        "true",
        "false",
      ], [
        "inner",
        "fanout",
        "false",
        "true",
      ]]);
      await ctl.do("bind", "ex", "q1", "a.#");
      await ctl.do("bind", "ex", "q1", "a.#", "-a", "n=1", "-a", "s=text");
      await ctl.do("bind", "ex", "inner", "--to-exchange");
      const bindings = () =>
        ctl.rows("list_bindings", "source_name", "destination_name", "destination_kind", "arguments");
      const own = async () => (await bindings()).filter(([source]) => source === "ex");
      assert.deepEqual((await own()).sort(), [
        ["ex", "inner", "exchange", "{}"],
        ["ex", "q1", "queue", '{"n":1,"s":"text"}'],
        ["ex", "q1", "queue", "{}"],
      ]);
      await ctl.do("unbind", "ex", "q1", "a.#", "-a", "n=1", "-a", "s=text");
      await ctl.do("unbind", "ex", "inner", "--to-exchange");
      assert.deepEqual(await own(), [["ex", "q1", "queue", "{}"]]);
      await ctl.refuses(1, /^binding of queue 'q1' to exchange 'ex' .*: not found$/, "unbind", "ex", "q1", "other");
      await ctl.refuses(1, /no exchange 'none' in vhost/, "bind", "none", "q1");

      await ctl.do("pause_queue", "q1");
      assert.deepEqual(await ctl.rows("list_queues", "name", "state"), [["q1", "paused"], ["q2", "running"]]);
      await ctl.do("resume_queue", "q1");
      await ctl.do("restart_queue", "q1");
      assert.equal((await ctl.api("queues/%2F/q1")).state, "running");
      await ctl.do("publish", "q1", "to be purged");
      await ctl.refuses(1, /^queue 'q1' in vhost '\/': .*/, "delete_queue", "q1", "--if-empty");
      await ctl.do("purge_queue", "q1");
      assert.deepEqual(await ctl.rows("list_queues"), [["q1", "0"], ["q2", "0"]]);
      await ctl.refuses(1, /^exchange 'ex' in vhost '\/': /, "delete_exchange", "ex", "--if-unused");
      await ctl.do("delete_queue", "q1", "--if-empty", "--if-unused");
      await ctl.do("delete_queue", "q2");
      for (const exchange of ["ex", "inner"]) await ctl.do("delete_exchange", exchange);
      await ctl.refuses(1, "queue 'q1' in vhost '/': not found", "delete_queue", "q1");
      await ctl.refuses(1, "exchange 'ex' in vhost '/': not found", "delete_exchange", "ex");
      await ctl.refuses(1, "queue 'q1' in vhost '/': not found", "purge_queue", "q1");
      assert.deepEqual(await ctl.rows("list_queues"), []);
    });

    test("names of all kinds come through addresses and tables", async () => {
      const names = ["a/b", "ünï ☃", "tab\tand\nline \x1b[2J", "%2F", "?a=b&c#d", "\\", "+ ;", "'"];
      for (const vhost of ["/", "v/ö"]) {
        if (vhost !== "/") await ctl.do("add_vhost", vhost);
        await Promise.all(names.map((name) => ctl.do("declare_queue", "-p", vhost, name)));
        const shown = await ctl.do("list_queues", "-s", "-p", vhost, "name");
        assert.deepEqual(
          (await ctl.json("list_queues", "-p", vhost, "name")).map(({ name }: { name: string }) => name).sort(),
          [
            ...names,
          ].sort(),
        );
        assert.equal(shown.split("\n").length, names.length + 1);
        assert.ok(shown.includes("tab\\tand\\nline \\u{1b}[2J\n"), shown);
        await Promise.all(names.map((name) => ctl.do("delete_queue", "-p", vhost, name)));
      }
      await ctl.do("delete_vhost", "v/ö");
      // A path would be another one.
      await ctl.refuses(2, "the name '..' cannot be told over HTTP", "delete_queue", "-p", "..", "reset");
      await ctl.refuses(2, "a name is empty", "delete_queue", "");
    });

    test("messages are published, shown and taken", async () => {
      await ctl.do("declare_queue", "letters");
      await ctl.do("publish", "letters", "hello", "--properties", '{"headers": {"a": [1]}, "message_id": "m1"}');
      await ctl.doWith("from\x00stdin", "publish", "letters", "--transient");
      await ctl.refuses(
        1,
        "exchange '' in vhost '/': no queue took a message with routing key 'nowhere'",
        "publish",
        "nowhere",
        "x",
      );
      const [first] = await ctl.json("get", "letters");
      assert.deepEqual([first.payload, first.redelivered, first.message_count], ["hello", false, 1]);
      assert.deepEqual(first.properties, { delivery_mode: 2, headers: { a: [1] }, message_id: "m1" });
      const both = await ctl.rows("get", "letters", "-n", "5", "--ack");
      assert.deepEqual(both.map((row) => row[5]), ["hello", "from\\u{0}stdin"]);
      assert.deepEqual(await ctl.json("get", "letters"), []);
      await ctl.do("publish", "letters", "to be rejected");
      assert.equal((await ctl.json("get", "letters", "--reject")).length, 1);
      assert.equal((await ctl.api("queues/%2F/letters")).messages, 0);
      await ctl.do("delete_queue", "letters");
      await ctl.refuses(1, "queue 'letters' in vhost '/': not found", "get", "letters");
    });

    test("an exchange is followed, and nothing taken from those who are bound to it", async () => {
      await ctl.do("declare_exchange", "news", "topic");
      await ctl.do("declare_queue", "reader");
      await ctl.do("bind", "news", "reader", "#");
      const tail = ctl.do("tail", "news", "--count", "2", "--json");
      const bound = async () => (await ctl.api("exchanges/%2F/news/bindings/source")).length;
      await waitFor("the follower is bound", async () => await bound() === 2, TEST_TIMEOUT_MS);
      await ctl.do("publish", "-x", "news", "a.b", "one", "--properties", '{"headers":{"n":1}}');
      await ctl.doWith("\xff", "publish", "-x", "news", "a.c");
      const seen = (await tail).trim().split("\n").map((line) => JSON.parse(line));
      assert.deepEqual(seen.map((one) => [one.exchange, one.routing_key, one.payload]), [
        ["news", "a.b", "one"],
        ["news", "a.c", "ÿ"],
      ]);
      assert.deepEqual(seen[0].properties, { headers: { n: 1 }, delivery_mode: 2 });
      await waitFor("its queue is gone", async () => await bound() === 1, TEST_TIMEOUT_MS);
      assert.equal((await ctl.api("queues/%2F/reader")).messages, 2);
      await ctl.do("declare_exchange", "spread", "x-consistent-hash");
      await ctl.refuses(1, /is of type x-consistent-hash: a queue more would take/, "tail", "spread");
      await ctl.refuses(1, "queue or exchange 'none' in vhost '/': not found", "tail", "none");
      for (const exchange of ["news", "spread"]) await ctl.do("delete_exchange", exchange);
      await ctl.do("delete_queue", "reader");
    });

    test("a queue is followed without taking anything from it", async () => {
      await ctl.do("declare_queue", "followed");
      const tail = ctl.try(["tail", "followed", "--count", "2", "--json"]);
      let published = 0;
      let done = false;
      void tail.then(() => done = true);
      while (!done) await ctl.do("publish", "followed", `message ${published++}`);
      const { code, stdout, stderr } = await tail;
      assert.deepEqual([code, stderr], [0, ""]);
      const seen = stdout.trim().split("\n").map((line) => JSON.parse(line));
      const first = Number(seen[0].payload.slice("message ".length));
      assert.deepEqual(seen.map(({ payload }) => payload), [`message ${first}`, `message ${first + 1}`]);
      assert.deepEqual([seen[0].exchange, seen[0].routing_key, seen[0].payload_bytes], ["", "followed", 9]);
      assert.equal((await ctl.api("queues/%2F/followed")).messages, published);

      await ctl.do("declare_exchange", "followed", "fanout");
      await ctl.refuses(
        2,
        /^there is a queue and an exchange 'followed' in vhost '\/': --queue or/,
        "tail",
        "followed",
      );
      await ctl.refuses(2, /^--queue goes with none/, "tail", "followed", "--queue", "--exchange");
      await ctl.do("delete_queue", "followed");
      await ctl.do("delete_exchange", "followed");
    });

    test("connections, channels and consumers are listed, and connections are closed with a reason", async () => {
      const broker = await ctl.broker;
      const connections = await Promise.all([amqplib.connect(broker.uri), amqplib.connect(broker.uri)]);
      const ends = connections.map((connection) =>
        new Promise<string>((resolve) => connection.on("close", (error) => resolve(String(error))))
      );
      const channel = await connections[0].createChannel();
      await channel.prefetch(7);
      await channel.assertQueue("watched");
      await channel.consume("watched", () => {}, { consumerTag: "me" });
      const listed = await ctl.rows("list_connections", "name", "user", "state", "channels");
      assert.deepEqual(listed.map((row) => row.slice(1)).sort(), [["guest", "running", "0"], [
        "guest",
        "running",
        "1",
      ]]);
      assert.deepEqual(await ctl.rows("list_channels", "user", "consumer_count", "number"), [["guest", "1", "1"]]);
      const consumers = await ctl.rows("list_consumers", "queue_name", "consumer_tag", "prefetch_count", "user");
      assert.deepEqual(consumers, [["watched", "me", "7", "guest"]]);
      const [busiest] = await ctl.json("top", "--once");
      assert.deepEqual([busiest.vhost, busiest.name, busiest.consumers], ["/", "watched", 1]);
      assert.match(await ctl.do("top", "--once", "-p", "/", "-n", "1"), /^vhost\tqueue\t.*\n\/\twatched\t0\t0\t1\t/);

      const name = listed.find((row) => row[3] === "1")![0]!;
      await ctl.do("close_connection", name, "time to go");
      assert.match(await ends[0]!, /CONNECTION[_-]FORCED.*time to go/);
      await waitFor("one is gone", async () => (await ctl.api("connections")).length === 1, TEST_TIMEOUT_MS);
      await ctl.refuses(1, `connection '${name}': not found`, "close_connection", name);
      await ctl.do("close_all_connections", "-p", "/", "night");
      assert.match(await ends[1]!, /night/);
      await waitFor("all are gone", async () => (await ctl.api("connections")).length === 0, TEST_TIMEOUT_MS);
      assert.deepEqual(await ctl.rows("list_connections", "-p", "/"), []);
      await ctl.do("close_all_connections");
      await ctl.refuses(2, /^a reason is ASCII text/, "close_connection", name, "ünpossible");
      await ctl.do("delete_queue", "watched");
    });

    test("definitions go out into a file that nobody else reads, and come in again", async () => {
      const file = join(temporaryDirectory(), "definitions.json");
      await ctl.do("declare_queue", "kept");
      await ctl.do("export_definitions", file);
      assert.equal(statSync(file).mode & 0o777, 0o600);
      const definitions = JSON.parse(readFileSync(file, "utf8"));
      assert.deepEqual(definitions.queues.map(({ name }: { name: string }) => name), ["kept"]);
      assert.deepEqual((await ctl.json("export_definitions", "-", "-p", "/")).queues.length, 1);
      await ctl.do("delete_queue", "kept");
      await ctl.do("import_definitions", file);
      assert.deepEqual(await ctl.rows("list_queues", "name"), [["kept"]]);
      await ctl.do("delete_queue", "kept");
      const one = { queues: [{ name: "other", durable: true, auto_delete: false, arguments: {} }] };
      await ctl.doWith(JSON.stringify(one), "import_definitions", "-", "-p", "/");
      assert.deepEqual(await ctl.rows("list_queues", "name"), [["other"]]);
      writeFileSync(file, "no JSON");
      await ctl.refuses(2, /^the file '.*definitions\.json' is not JSON: 'no JSON'$/, "import_definitions", file);
      await ctl.refuses(1, /^cannot read '.*gone': .*ENOENT/, "import_definitions", `${file}.gone`);
      await ctl.refuses(1, /^cannot write '.*'/, "export_definitions", join(file, "below"));
      await ctl.do("delete_queue", "other");
    });

    test("the broker tells how it is and how it is set up", async () => {
      const { dataDir, port } = await ctl.broker;
      const status = await ctl.json("status");
      assert.match(status.product, /^Leveret \d/);
      assert.deepEqual(status.alarms, []);
      assert.ok(
        status.memory.used > 0 && status.totals.exchanges > 0 && status.listeners.includes(`amqp 127.0.0.1:${port}`),
      );
      assert.match(await ctl.do("status"), /^product: Leveret .*\n(.*\n)*memory:\n {2}used: \d+\n/);
      const environment = await ctl.json("environment");
      assert.equal(environment.data_dir, dataDir);
      assert.ok(environment.exchange_types.includes("topic"));
      assert.match(await ctl.do("environment"), /^data_dir: /);
    });

    test("shells complete its commands and flags", async () => {
      const script = await ctl.do("completion", "bash");
      const complete = (...words: string[]) => {
        const quoted = words.map((word) => `'${word}'`).join(" ");
        const act = `${script}\nCOMP_WORDS=(${quoted}); COMP_CWORD=${
          words.length - 1
        }; _leveret; echo "\${COMPREPLY[*]}"`;
        const { stdout, stderr } = spawnSync("bash", ["-c", act], { encoding: "utf8" });
        assert.equal(stderr, "");
        return stdout.trim();
      };
      assert.equal(complete("leveret", "ct"), "ctl");
      assert.equal(complete("leveret", "ctl", "--json", "list_op"), "list_operator_policies");
      assert.equal(complete("leveret", "ctl", "get", "some", "--rej"), "--reject");
      assert.equal(complete("leveret", "ctl", "list_users", "--vh"), "--vhost");
      for (const shell of ["zsh", "fish"]) assert.match(await ctl.do("completion", shell), /list_operator_policies/);
      await ctl.refuses(2, "expected bash, zsh or fish, found 'tcsh'", "completion", "tcsh");
    });

    test("no command has been left out", async () => {
      const help = await ctl.do("--help");
      const commands = [...help.matchAll(/^ {2}([a-z]+(?:_[a-z]+)*)(?:\|[a-z_]+)? /gm)].map((match) => match[1]!);
      assert.ok(commands.length > 60, help);
      assert.deepEqual(commands.filter((name) => name !== "help" && !ctl.run.has(name)), []);
    });
  });
}
