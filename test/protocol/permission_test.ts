// What a user may do: every operation with every permission that it needs missing, side paths included.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { ManagedBroker } from "../support/managed_broker.ts";
import type { RawAmqp } from "../support/raw_amqp.ts";
import { array, rawTable, text, withProperties } from "../support/raw_properties.ts";
import { basic, channel, confirm, exchange, queue, tx } from "../support/raw_methods.ts";

const broker = new ManagedBroker();
after(() => broker.stop());

interface Rules {
  configure?: string;
  write?: string;
  read?: string;
}

/** One user for each test: permissions of one do not concern another. */
let userCount = 0;
async function userWith(rules: Rules): Promise<string> {
  const management = await broker.management();
  const user = `user-${++userCount}`;
  await management.putUser(user, { password: user });
  const { configure = "", write = "", read = "" } = rules;
  await management.putPermission({ user, vhost: "/", configure, write, read });
  return user;
}

async function prepare(): Promise<void> {
  const admin = await broker.open();
  const declared: [string, string, Record<string, unknown>?][] = [
    ["direct-x", "direct"],
    ["other-x", "direct"],
    ["topic-x", "topic"],
    ["headers-x", "headers"],
  ];
  for (const [name, type] of declared) await admin.call("exchange.declare-ok", exchange.declare(1, name, type));
  await admin.call("queue.declare-ok", queue.declare(1, "own-q"));
  await admin.call("queue.bind-ok", queue.bind(1, "own-q", "direct-x", "k"));
  await admin.call("exchange.bind-ok", exchange.bind(1, "other-x", "direct-x", "k"));
  await admin.close();
}
const prepared = prepare();

type Action = "configure" | "write" | "read";

interface Operation {
  readonly name: string;
  /** What it needs, all of it. */
  readonly needs: readonly (readonly [Action, string])[];
  readonly run: (client: RawAmqp) => Promise<unknown>;
  /** What a refusal calls it, where it is not `queue 'x'` or `exchange 'x'` by its name. */
  readonly texts?: Readonly<Record<string, string>>;
}

const published = async (client: RawAmqp, ...frames: Uint8Array[]): Promise<void> => {
  client.send(...frames);
  await client.expectSilence(1);
};

let names = 0;
const fresh = (prefix: string) => `${prefix}-${++names}`;

/** Each makes what it needs under names that only it has, so that it can run again and again. */
const OPERATIONS: readonly Operation[] = [
  {
    name: "exchange.declare",
    needs: [["configure", "new-x"]],
    run: (client) => client.call("exchange.declare-ok", exchange.declare(1, "new-x", "direct", { autoDelete: true })),
  },
  {
    name: "exchange.declare with an alternate exchange",
    needs: [["configure", "new-ae-x"], ["read", "new-ae-x"], ["write", "other-x"]],
    run: async (client) => {
      const args = { "alternate-exchange": "other-x" };
      await client.call("exchange.declare-ok", exchange.declare(1, "new-ae-x", "direct", { args }));
      await client.call("exchange.delete-ok", exchange.delete(1, "new-ae-x"));
    },
  },
  {
    name: "exchange.delete",
    needs: [["configure", "gone-x"]],
    run: (client) => client.call("exchange.delete-ok", exchange.delete(1, "gone-x")),
  },
  {
    name: "exchange.bind",
    needs: [["write", "other-x"], ["read", "direct-x"]],
    run: (client) => client.call("exchange.bind-ok", exchange.bind(1, "other-x", "direct-x", "k")),
  },
  {
    name: "exchange.unbind",
    needs: [["write", "other-x"], ["read", "direct-x"]],
    run: (client) => client.call("exchange.unbind-ok", exchange.unbind(1, "other-x", "direct-x", "absent")),
  },
  {
    name: "queue.declare",
    needs: [["configure", "new-q"]],
    run: (client) => client.call("queue.declare-ok", queue.declare(1, "new-q")),
  },
  {
    name: "queue.declare of a server-named queue",
    needs: [["configure", "amq.gen-"]],
    run: (client) => client.call("queue.declare-ok", queue.declare(1, "", { exclusive: true })),
  },
  {
    name: "queue.declare with a dead letter exchange",
    needs: [["configure", "new-dlx-q"], ["read", "new-dlx-q"], ["write", "other-x"]],
    run: async (client) => {
      const args = { "x-dead-letter-exchange": "other-x" };
      await client.call("queue.declare-ok", queue.declare(1, "new-dlx-q", { args }));
      await client.call("queue.delete-ok", queue.delete(1, "new-dlx-q"));
    },
  },
  {
    name: "queue.declare with the default exchange as dead letter exchange",
    needs: [["configure", "new-dld-q"], ["read", "new-dld-q"], ["write", "amq.default"]],
    run: async (client) => {
      const args = { "x-dead-letter-exchange": "" };
      await client.call("queue.declare-ok", queue.declare(1, "new-dld-q", { args }));
      await client.call("queue.delete-ok", queue.delete(1, "new-dld-q"));
    },
  },
  {
    name: "queue.delete",
    needs: [["configure", "gone-q"]],
    run: (client) => client.call("queue.delete-ok", queue.delete(1, "gone-q")),
  },
  {
    name: "queue.purge",
    needs: [["read", "own-q"]],
    run: (client) => client.call("queue.purge-ok", queue.purge(1, "own-q")),
  },
  {
    name: "queue.bind",
    needs: [["write", "own-q"], ["read", "direct-x"]],
    run: (client) => client.call("queue.bind-ok", queue.bind(1, "own-q", "direct-x", "k")),
  },
  {
    name: "queue.unbind",
    needs: [["write", "own-q"], ["read", "direct-x"]],
    run: (client) => client.call("queue.unbind-ok", queue.unbind(1, "own-q", "direct-x", "absent")),
  },
  {
    name: "basic.publish",
    needs: [["write", "direct-x"]],
    run: (client) => published(client, basic.publish(1, "absent", "x", { exchange: "direct-x" })),
  },
  {
    name: "basic.publish to an exchange whose routes are not kept",
    needs: [["write", "headers-x"]],
    run: (client) => published(client, basic.publish(1, "absent", "x", { exchange: "headers-x" })),
  },
  {
    name: "basic.publish to the default exchange",
    needs: [["write", "amq.default"]],
    run: (client) => published(client, basic.publish(1, "absent", "x")),
  },
  {
    name: "basic.publish, immediate",
    needs: [["write", "direct-x"]],
    run: async (client) => {
      client.send(basic.publish(1, "absent", "x", { exchange: "direct-x", immediate: true }));
      assert.equal((await client.message()).by, "return");
    },
  },
  {
    name: "basic.publish of a direct reply",
    needs: [["write", "amq.default"]],
    run: (client) => published(client, basic.publish(1, "amq.rabbitmq.reply-to.AAAAAAAAAAAAAAAAAAAAAA", "x")),
  },
  {
    name: "basic.publish in a transaction",
    needs: [["write", "direct-x"]],
    run: async (client) => {
      await client.call("tx.select-ok", tx.select(1));
      await published(client, basic.publish(1, "absent", "x", { exchange: "direct-x" }));
      await client.call("tx.commit-ok", tx.commit(1));
    },
  },
  {
    name: "basic.publish with CC",
    needs: [["write", "direct-x"]],
    run: (client) => {
      const CC = { headers: rawTable(["CC", array(text("elsewhere"))]) };
      return published(client, basic.publish(1, "absent", "x", { exchange: "direct-x", ...withProperties(CC) }));
    },
  },
  {
    name: "basic.consume",
    needs: [["read", "own-q"]],
    run: (client) => client.call("basic.consume-ok", basic.consume(1, "own-q", { tag: fresh("tag") })),
  },
  {
    name: "basic.get",
    needs: [["read", "own-q"]],
    run: (client) => client.call("basic.get-empty", basic.get(1, "own-q", true)),
  },
  {
    name: "basic.get of the queue declared last",
    needs: [["configure", "last-q"], ["read", "last-q"]],
    run: async (client) => {
      await client.call("queue.declare-ok", queue.declare(1, "last-q"));
      await client.call("basic.get-empty", basic.get(1, "", true));
    },
  },
  {
    name: "queue.bind of the queue declared last",
    needs: [["configure", "last-q"], ["write", "last-q"], ["read", "direct-x"]],
    run: async (client) => {
      await client.call("queue.declare-ok", queue.declare(1, "last-q"));
      await client.call("queue.bind-ok", queue.bind(1, "", "direct-x", ""));
    },
  },
];

/** Patterns that give just what is listed. */
function rulesOf(needs: readonly (readonly [Action, string])[]): Rules {
  const rules: Record<Action, string[]> = { configure: [], write: [], read: [] };
  for (const [action, name] of needs) rules[action].push(name.replaceAll(".", "\\."));
  const pattern = (action: Action) => rules[action].length === 0 ? "" : `^(${rules[action].join("|")})`;
  return { configure: pattern("configure"), write: pattern("write"), read: pattern("read") };
}

for (const { name, needs, run } of OPERATIONS) {
  test(`${name} works with what it needs, and with nothing more`, async () => {
    await prepared;
    const user = await userWith(rulesOf(needs));
    const client = await broker.open({ user });
    await run(client);
    await client.close();
  });

  for (const missing of needs) {
    const [action, resource] = missing;
    test(`${name} is refused without ${action} on ${resource}`, async () => {
      await prepared;
      // Everything else is allowed, the missing permission is there for every other name.
      const others = needs.filter((need) => need !== missing);
      const all: Rules = { configure: ".*", write: ".*", read: ".*" };
      const user = await userWith({ ...all, [action]: `^(?!${resource.replaceAll(".", "\\.")})` });
      assert.ok(others.every(([other, name]) => other !== action || !name.startsWith(resource)), "told apart");
      const client = await broker.open({ user });
      const error = await run(client).then(() => "it went through", (error: Error) => error.message);
      const kind = resource.endsWith("-q") || resource.startsWith("amq.gen") ? "queue" : "exchange";
      const named = resource === "amq.gen-" ? "amq\\.gen-[^']+" : resource.replaceAll(".", "\\.");
      const refusal = `${action} access to ${kind} '${named}' in vhost '/' refused for user '${user}'`;
      assert.match(error, new RegExp(`"level":"channel","channel":1,"code":403,"text":"ACCESS_REFUSED - ${refusal}"`));
      await client.close();
    });
  }
}

test("a passive declare takes any one permission; without all of them it is refused", async () => {
  await prepared;
  const asks: [string, Uint8Array, "queue.declare-ok" | "exchange.declare-ok"][] = [
    ["own-q", queue.declare(1, "own-q", { passive: true }), "queue.declare-ok"],
    ["direct-x", exchange.declare(1, "direct-x", "direct", { passive: true }), "exchange.declare-ok"],
  ];
  for (const [name, ask, answer] of asks) {
    for (const action of ["configure", "write", "read"]) {
      const client = await broker.open({ user: await userWith({ [action]: `^${name}$` }) });
      await client.call(answer, ask);
      await client.close();
    }
    const user = await userWith({ configure: "other", write: "other", read: "other" });
    const client = await broker.open({ user });
    client.send(ask);
    const { code, text } = await client.refused();
    assert.equal(code, 403);
    assert.match(
      text,
      new RegExp(`^ACCESS_REFUSED - configure access to .* '${name}' in vhost '/' refused for user '${user}'`),
    );
    await client.close();
  }
});

test("what needs no permission works without any: own acks, confirms, direct reply-to's consumer", async () => {
  await prepared;
  const client = await broker.open({ user: await userWith({}) });
  await client.call("confirm.select-ok", confirm.select(1));
  const consume = basic.consume(1, "amq.rabbitmq.reply-to", { noAck: true, tag: "replies" });
  await client.call("basic.consume-ok", consume);
  await client.call("basic.qos-ok", basic.qos(1, 10));
  await client.close();
});

test("an exchange that nobody may delete is refused for that, whatever the permissions", async () => {
  await prepared;
  const client = await broker.open({ user: await userWith({}) });
  client.send(exchange.delete(1, "amq.topic"));
  assert.match((await client.refused()).text, /^ACCESS_REFUSED - exchange name 'amq.topic' contains reserved prefix/);
});

test("topic permissions: publishing and binding need the routing key, too", async () => {
  await prepared;
  const management = await broker.management();
  const all = { configure: ".*", write: ".*", read: ".*" };
  const user = await userWith(all);
  await management.putTopicPermission({
    user,
    vhost: "/",
    exchange: "topic-x",
    write: "^{username}\\.(?!secret)",
    read: "^public\\.",
  });
  const client = await broker.open({ user, channels: 8 });
  const publish = (number: number, key: string, options: object = {}) =>
    basic.publish(number, key, "x", { exchange: "topic-x", ...options });
  client.send(publish(1, `${user}.news`));
  await client.expectSilence(1);
  const refusals: [Uint8Array, "write" | "read", string][] = [
    [publish(2, "other.news"), "write", "other.news"],
    [publish(3, `${user}.secret`), "write", `${user}.secret`],
    [
      publish(4, `${user}.news`, withProperties({ headers: rawTable(["CC", array(text("other.cc"))]) })),
      "write",
      "other.cc",
    ],
    [queue.bind(5, "own-q", "topic-x", "private.#"), "read", "private.#"],
    [exchange.bind(6, "other-x", "topic-x", "private.#"), "read", "private.#"],
    [queue.unbind(7, "own-q", "topic-x", "private.#"), "read", "private.#"],
  ];
  for (const [frames, action, key] of refusals) {
    client.send(frames);
    const { code, text } = await client.refused();
    const where = "exchange 'topic-x' in vhost '/'";
    assert.deepEqual(
      [code, text],
      [403, `ACCESS_REFUSED - ${action} access to topic '${key}' in ${where} refused for user '${user}'`],
    );
  }
  await client.call("queue.bind-ok", queue.bind(8, "own-q", "topic-x", "public.#"));
  client.send(basic.publish(8, "anything", "x", { exchange: "direct-x" }));
  await client.expectSilence(8);
});

test("a permission withdrawn is missing at once, also for a publisher whose route is known", async () => {
  await prepared;
  const management = await broker.management();
  const user = await userWith({ configure: ".*", write: ".*", read: ".*" });
  const client = await broker.open({ user });
  await client.call("confirm.select-ok", confirm.select(1));
  const message = basic.publish(1, "k", "x", { exchange: "direct-x" });
  client.send(message, message);
  await client.expectSilence(1).catch(() => {});
  await management.putPermission({ user, vhost: "/", configure: ".*", write: "^other", read: ".*" });
  client.send(message);
  while (true) {
    const frame = await client.next();
    assert.notEqual(frame, null);
    // Acks of what came before.
    if (frame!.name !== "20.40") continue;
    const { args } = frame!;
    assert.equal(args.short(), 403);
    assert.match(args.shortString(), /write access to exchange 'direct-x'/);
    break;
  }
  client.send(channel.closeOk(1));
  await management.putPermission({ user, vhost: "/", configure: ".*", write: ".*", read: ".*" });
  await client.call("channel.open-ok", channel.open(1));
  client.send(message);
  await client.expectSilence(1);
});

test("a consumer that runs goes on when its permission is withdrawn; a new one is refused", async () => {
  await prepared;
  const management = await broker.management();
  const user = await userWith({ configure: ".*", write: ".*", read: ".*" });
  const client = await broker.open({ user, channels: 2 });
  await client.call("queue.declare-ok", queue.declare(1, "consumed", { exclusive: true }));
  await client.call("basic.consume-ok", basic.consume(1, "consumed", { noAck: true }));
  await management.putPermission({ user, vhost: "/", configure: ".*", write: ".*", read: "" });
  client.send(basic.publish(1, "consumed", "still"));
  assert.equal((await client.message()).body.toString(), "still");
  client.send(basic.consume(2, "consumed", { noAck: true }));
  assert.equal((await client.refused()).code, 403);
});

test("only an impersonator publishes in the name of others, and tags count at once", async () => {
  await prepared;
  const management = await broker.management();
  const user = await userWith({ configure: ".*", write: ".*", read: ".*" });
  const client = await broker.open({ user });
  const forged = basic.publish(1, "absent", "x", withProperties({ userId: "guest" }));
  client.send(forged);
  const { code, text: reason } = await client.refused();
  assert.deepEqual([code, /user_id property set to 'guest'/.test(reason)], [406, true]);
  await management.putUser(user, { tags: ["impersonator"] });
  await client.call("channel.open-ok", channel.open(1));
  client.send(forged);
  await client.expectSilence(1);
});
