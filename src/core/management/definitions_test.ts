import assert from "node:assert/strict";
import { test } from "node:test";
import { testRealm } from "../realm_testing.ts";
import { Refusal } from "../refusal.ts";

/** Of the form that RabbitMQ 3.10 writes. */
function wholeFile() {
  return {
    rabbit_version: "3.10.8",
    rabbitmq_version: "3.10.8",
    product_name: "RabbitMQ",
    users: [
      {
        name: "ann",
        password_hash: "mgpOcQGpKTXbpkX9Q7WL3DzD+4++8FQPaDKfJCjjAJo1wRLD",
        hashing_algorithm: "rabbit_password_hashing_sha256",
        tags: ["monitoring", "own"],
        limits: { "max-channels": 10 },
      },
      { name: "nobody", password_hash: "", hashing_algorithm: "rabbit_password_hashing_sha256", tags: "", limits: {} },
    ] as object[],
    vhosts: [{ name: "/" }, {
      name: "v1",
      limits: [],
      metadata: { description: "d", tags: ["a"], default_queue_type: "quorum" },
    }],
    permissions: [{ user: "ann", vhost: "v1", configure: "^(amq\\.gen.*|mine-.*)$", write: ".*", read: "" }],
    topic_permissions: [{ user: "ann", vhost: "v1", exchange: "amq.topic", write: "^{username}-.*", read: ".*" }],
    parameters: [
      { value: { "max-connections": 10 }, vhost: "v1", component: "vhost-limits", name: "limits" },
      {
        value: { pattern: ".*", definition: { "max-length": 5 }, priority: 1, "apply-to": "queues" },
        vhost: "/",
        component: "operator_policy",
        name: "op",
      },
    ] as object[],
    global_parameters: [{ name: "g", value: { a: 1 } }, { name: "internal_cluster_id", value: "some-id" }],
    policies: [{
      vhost: "/",
      name: "p",
      pattern: "^(?!amq\\.).*",
      "apply-to": "queues",
      definition: { "ha-mode": "all", "max-length": 10 },
      priority: 1,
    }] as object[],
    queues: [
      { name: "transient", vhost: "/", durable: false, auto_delete: true, arguments: {} },
      { name: "q", vhost: "/", durable: true, auto_delete: false, arguments: { "x-message-ttl": 1000 } },
      { name: "typed", vhost: "/", type: "quorum", durable: true, auto_delete: false, arguments: {} },
      { name: "q", vhost: "v1", durable: true, auto_delete: false, arguments: { "x-queue-type": "stream" } },
    ] as object[],
    exchanges: [
      {
        name: "x",
        vhost: "/",
        type: "topic",
        durable: true,
        auto_delete: false,
        internal: false,
        arguments: { "alternate-exchange": "amq.fanout" },
      },
      {
        name: "delayed",
        vhost: "/",
        type: "x-delayed-message",
        durable: true,
        auto_delete: false,
        internal: true,
        arguments: { "x-delayed-type": "direct" },
      },
    ] as object[],
    bindings: [
      { source: "x", vhost: "/", destination: "q", destination_type: "queue", routing_key: "a.#", arguments: { k: 1 } },
      {
        source: "x",
        vhost: "/",
        destination: "delayed",
        destination_type: "exchange",
        routing_key: "z",
        arguments: {},
      },
      {
        source: "amq.direct",
        vhost: "v1",
        destination: "q",
        destination_type: "queue",
        routing_key: "",
        arguments: {},
      },
    ] as object[],
  };
}

test("a file that RabbitMQ wrote comes in whole, and its users log in", async () => {
  const { management, realm, reports, log } = testRealm();
  await management.importDefinitions(wholeFile());
  assert.equal(realm.users.authenticate("ann", "secret", "::1")!.name, "ann");
  assert.equal(realm.users.authenticate("nobody", "", "::1"), null);
  assert.deepEqual(management.getUser("ann").limits, { "max-channels": 10 });
  assert.deepEqual(realm.vhost("v1").metadata, { description: "d", tags: ["a"], defaultQueueType: "quorum" });
  assert.deepEqual(realm.vhost("v1").limits, { maxConnections: 10 });
  const slash = realm.vhost("/");
  assert.deepEqual(slash.queues.get("q")!.policy!.definition, { "ha-mode": "all", "max-length": 5 });
  assert.deepEqual([...slash.queues.values()].map(({ name, settings }) => [name, settings.type]), [
    ["transient", "classic"],
    ["q", "classic"],
    ["typed", "quorum"],
  ]);
  assert.equal(realm.vhost("v1").queues.get("q")!.settings.type, "stream");
  assert.deepEqual([...slash.exchange("x").bindings()].map(({ destination }) => destination.name), ["q", "delayed"]);
  assert.equal(slash.exchange("x").alternate, "amq.fanout");
  assert.equal(reports.length, 1);
  // What is exported comes in again elsewhere, and is the same.
  const exported = JSON.parse(JSON.stringify(management.exportDefinitions()));
  const other = testRealm();
  await other.management.importDefinitions(exported);
  assert.deepEqual(other.management.exportDefinitions(), management.exportDefinitions());
  const restarted = testRealm(log);
  const { queues, ...rest } = exported;
  const durable = queues.filter(({ durable }: { durable: boolean }) => durable);
  assert.deepEqual(JSON.parse(JSON.stringify(restarted.management.exportDefinitions())), { ...rest, queues: durable });
});

test("an import may be repeated: what is there stays", async () => {
  const { management, realm } = testRealm();
  await management.importDefinitions(wholeFile());
  const before = management.exportDefinitions();
  const queue = realm.vhost("/").queues.get("q");
  await management.importDefinitions(wholeFile());
  assert.deepEqual(management.exportDefinitions(), before);
  assert.equal(realm.vhost("/").queues.get("q"), queue);
});

test("users in the file are changed, unless those that are there are to stay as they are", async () => {
  const { management, realm } = testRealm();
  await management.putUser("ann", { password: "own", tags: ["administrator"] });
  await management.importDefinitions(wholeFile(), { keepUsers: true });
  assert.notEqual(realm.users.authenticate("ann", "own", "::1"), null);
  assert.notEqual(realm.users.find("nobody"), null);
  await management.importDefinitions(wholeFile());
  assert.equal(realm.users.authenticate("ann", "own", "::1"), null);
  assert.notEqual(realm.users.authenticate("ann", "secret", "::1"), null);
});

test("a file with a mistake changes nothing, and says what is wrong and where", async () => {
  const change = (change: (file: ReturnType<typeof wholeFile>) => void) => {
    const file = wholeFile();
    change(file);
    return file;
  };
  const queue = { name: "bad", vhost: "/", durable: true, auto_delete: false, arguments: {} };
  const exchange = { name: "bad", vhost: "/", type: "direct", durable: true, auto_delete: false, arguments: {} };
  const binding = { source: "x", vhost: "/", destination: "nope", destination_type: "queue", arguments: {} };
  const mistakes: [RegExp, unknown][] = [
    [/^definitions: the file: /, "text"],
    [/^definitions: queues: /, { queues: 1 }],
    [/^definitions: queues\[0\].name: /, { queues: [{ name: 5 }] }],
    [
      /users\[2\], user 'bad': password_hash is not base64/,
      change(({ users }) => users.push({ name: "bad", password_hash: "!" })),
    ],
    [
      /users\[2\], user 'bad': a blank password is not allowed/,
      change(({ users }) => users.push({ name: "bad", password: "" })),
    ],
    [
      /permissions\[1\], of user 'nope' in vhost '\/': user 'nope' does not exist/,
      change(({ permissions }) => {
        permissions.push({ user: "nope", vhost: "/", configure: "", write: "", read: "" });
      }),
    ],
    [
      /permissions\[1\], of user 'ann' in vhost '\/': .*invalid: missing \)/,
      change(({ permissions }) => {
        permissions.push({ user: "ann", vhost: "/", configure: "(", write: "", read: "" });
      }),
    ],
    [
      /policies\[1\], policy 'bad': Validation failed.*not recognised/,
      change(({ policies }) => {
        policies.push({ vhost: "/", name: "bad", pattern: "", definition: { nope: 1 } });
      }),
    ],
    [
      /parameters\[2\], 'limits': Validation failed.*max-queues should be a number/,
      change(({ parameters }) => {
        parameters.push({ vhost: "/", component: "vhost-limits", name: "limits", value: { "max-queues": "x" } });
      }),
    ],
    [
      /queues\[4\], queue 'bad': vhost 'nope' does not exist/,
      change(({ queues }) => queues.push({ ...queue, vhost: "nope" })),
    ],
    [
      /queues\[4\], queue 'bad': invalid arg 'x-max-length'/,
      change(({ queues }) => {
        queues.push({ ...queue, arguments: { "x-max-length": "x" } });
      }),
    ],
    [/queues\[4\], queue 'bad': it names no vhost/, change(({ queues }) => queues.push({ name: "bad" }))],
    [/queues\[5\], queue 'bad': it stands there twice/, change(({ queues }) => queues.push(queue, queue))],
    [
      /exchanges\[2\], exchange 'bad': unknown exchange type 'x-nope'/,
      change(({ exchanges }) => {
        exchanges.push({ ...exchange, type: "x-nope" });
      }),
    ],
    [
      /bindings\[3\], of 'nope' to 'x': no queue 'nope' in vhost '\/'/,
      change(({ bindings }) => bindings.push(binding)),
    ],
    [
      /bindings\[3\], of 'q' to 'y': no exchange 'y'/,
      change(({ bindings }) => {
        bindings.push({ ...binding, source: "y", destination: "q" });
      }),
    ],
    [
      /adding 3 queues to vhost '\/', which has 0, would exceed its limit of 2/,
      change(({ parameters }) => {
        parameters.push({ vhost: "/", component: "vhost-limits", name: "limits", value: { "max-queues": 2 } });
      }),
    ],
  ];
  const { management, log } = testRealm();
  for (const [text, file] of mistakes) {
    const before = log.length;
    await assert.rejects(() => management.importDefinitions(file), (error) => {
      assert.ok(error instanceof Refusal, String(error));
      assert.match(error.message, text);
      return true;
    });
    assert.equal(log.length, before, "nothing was changed");
  }
});

test("the definitions of one virtual host go into another", async () => {
  const { management, realm } = testRealm();
  await management.importDefinitions(wholeFile());
  await management.putVhost("copy");
  const exported = management.exportDefinitions("/");
  assert.equal("users" in exported, false);
  assert.equal("vhost" in exported.queues[0]!, false);
  await management.importDefinitions(JSON.parse(JSON.stringify(exported)), { vhost: "copy" });
  assert.deepEqual(management.exportDefinitions("copy"), exported);
  assert.equal(realm.vhost("copy").queues.get("q")!.policy!.operatorPolicy!.name, "op");
  await assert.rejects(() => management.importDefinitions(exported), /it names no vhost/);
});

test("users of old files: tags in one text, MD5 where no algorithm is named", async () => {
  const { management, realm } = testRealm();
  const hash = (bytes: number) => Buffer.alloc(bytes).toString("base64");
  const users = [{ name: "old", password_hash: hash(20), tags: "administrator, own" }];
  await management.importDefinitions({ rabbit_version: "3.5.7", users });
  assert.deepEqual(management.getUser("old").tags, ["administrator", "own"]);
  assert.equal(management.getUser("old").hashing_algorithm, "rabbit_password_hashing_md5");
  await management.importDefinitions({ rabbit_version: "3.8.0", users });
  assert.equal(realm.users.get("old").password.algorithm, "rabbit_password_hashing_sha256");
});
