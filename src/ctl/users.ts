// Users: made, changed, deleted; their permissions and limits.

import { at, type Row } from "./api.ts";
import type { Call, Commands } from "./commands.ts";
import { CtlFault, usageFault } from "./fault.ts";
import { quoted } from "./text.ts";
import { jsonObjectOf, passwordOf } from "./words.ts";

const PASSWORD = "read from standard input where it is missing or -";

export function addUsers(commands: Commands): void {
  commands.group("Users:");
  commands.add<{ preHashedPassword?: true; tags?: string }>(
    "add_user <user> [password]",
    `make a user without permissions; the password is ${PASSWORD}`,
    async (call, user, password) => {
      const what = `user ${quoted(user!)}`;
      if (await call.api.has(at`users/${user!}`, what)) throw new CtlFault(`${what} is there already`);
      const secret = await passwordOf(password);
      const { preHashedPassword, tags = "" } = call.flags;
      const login = preHashedPassword === true ? { password_hash: secret } : { password: secret };
      await call.api.put(at`users/${user!}`, what, { ...login, tags });
    },
  )
    .option("--pre-hashed-password", "what is given is a hash, as hash_password prints it")
    .option("--tags <list>", "tags, with commas between them");
  commands.add("delete_user <user>", "delete a user and end its connections", async ({ api }, user) => {
    await api.delete(at`users/${user!}`, `user ${quoted(user!)}`);
  });
  commands.add(
    "change_password <user> [password]",
    `give a user another password, ${PASSWORD}`,
    async (call, user, word) => {
      const { tags } = await userOf(call, user!);
      const password = await passwordOf(word);
      await call.api.put(at`users/${user!}`, `user ${quoted(user!)}`, { password, tags });
    },
  );
  commands.add("clear_password <user>", "let a user log in no more", async (call, user) => {
    const { tags } = await userOf(call, user!);
    await call.api.put(at`users/${user!}`, `user ${quoted(user!)}`, { password_hash: "", tags });
  });
  commands.add(
    "set_user_tags <user> [tag...]",
    "what a user is: administrator, monitoring, policymaker, management, impersonator",
    async (call, user, ...tags) => {
      const { password_hash, hashing_algorithm } = await userOf(call, user!);
      await call.api.put(at`users/${user!}`, `user ${quoted(user!)}`, {
        password_hash,
        hashing_algorithm,
        tags: tags.flatMap((tag) => tag.split(",")).filter((tag) => tag !== ""),
      });
    },
  );
  commands.add(
    "authenticate_user <user> [password]",
    `find out whether a password is right; ${PASSWORD}`,
    authenticate,
  );
  commands.add(
    "hash_password [password]",
    `print a password as definitions files hold it; ${PASSWORD}`,
    async (call, word) => {
      const body = { password: await passwordOf(word) };
      const { text } = await call.api.put(at`auth/hash_password`, "the password", body);
      const answer = JSON.parse(text) as { password_hash: string };
      if (call.json) await call.writeJson(answer);
      else await call.write(`${answer.password_hash}\n`);
    },
  );
  addPermissions(commands);
  addLimits(commands);
}

async function userOf({ api }: Call, user: string): Promise<Row> {
  return await api.get(at`users/${user}`, `user ${quoted(user)}`);
}

async function authenticate({ api }: Call, user?: string, word?: string): Promise<void> {
  const as = { user: user!, password: await passwordOf(word) };
  const { status, text } = await api.ask("GET", at`whoami`, { as });
  // Whoever is known and is no administrator is told something else than that the login failed.
  if (status === 200 || (status === 401 && !text.includes("Login failed"))) return;
  if (status === 401) throw new CtlFault(`user ${quoted(user!)} or its password is refused`);
  throw new CtlFault(`user ${quoted(user!)}: the broker answered ${status}`);
}

function addPermissions(commands: Commands): void {
  commands.group("Permissions in a virtual host:");
  const ofUser = (user: string, vhost: string) => `permissions of user ${quoted(user)} in vhost ${quoted(vhost)}`;
  commands.add(
    "set_permissions <user> <configure> <write> <read>",
    "allow a user what three regular expressions match",
    async ({ api, vhost }, user, configure, write, read) => {
      await expectUserAndVhost(api, user!, vhost);
      await api.put(at`permissions/${vhost}/${user!}`, ofUser(user!, vhost), { configure, write, read });
    },
  );
  commands.add("clear_permissions <user>", "take a user's permissions away", async ({ api, vhost }, user) => {
    await api.delete(at`permissions/${vhost}/${user!}`, ofUser(user!, vhost));
  });
  commands.add(
    "set_topic_permissions <user> <exchange> <write> <read>",
    "allow a user the routing keys that two regular expressions match",
    async ({ api, vhost }, user, exchange, write, read) => {
      await expectUserAndVhost(api, user!, vhost);
      await api.put(at`topic-permissions/${vhost}/${user!}`, `topic ${ofUser(user!, vhost)}`, {
        exchange,
        write,
        read,
      });
    },
  );
  commands.add(
    "clear_topic_permissions <user> [exchange]",
    "take a user's topic permissions away, of one exchange or of all",
    async ({ api, vhost }, user, exchange) => {
      const query: Record<string, string> = exchange === undefined ? {} : { exchange };
      await api.delete(at`topic-permissions/${vhost}/${user!}`, `topic ${ofUser(user!, vhost)}`, { query });
    },
  );
}

/** The API says only that something is not there. */
async function expectUserAndVhost(api: Call["api"], user: string, vhost: string): Promise<void> {
  await api.get(at`users/${user}`, `user ${quoted(user)}`);
  await api.get(at`vhosts/${vhost}`, `vhost ${quoted(vhost)}`, { columns: "name" });
}

function addLimits(commands: Commands): void {
  commands.group("Limits of users:");
  commands.add(
    "set_user_limits <user> <limits>",
    `set limits: '{"max-connections": 10, "max-channels": 100}'`,
    async ({ api }, user, text) => {
      for (const [name, value] of Object.entries(jsonObjectOf(text!, "what is to be set"))) {
        await api.put(at`user-limits/${user!}/${name}`, `limits of user ${quoted(user!)}`, { value });
      }
    },
  );
  commands.add(
    "clear_user_limits <user> <limit>",
    "take a limit away, or all of them: all",
    async ({ api }, user, limit) => {
      const what = `limits of user ${quoted(user!)}`;
      const names = ["max-connections", "max-channels"];
      if (limit !== "all" && !names.includes(limit!)) throw usageFault(`expected all or one of ${names.join(", ")}`);
      for (const name of limit === "all" ? names : [limit!]) await api.delete(at`user-limits/${user!}/${name}`, what);
    },
  );
}
