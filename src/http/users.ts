// Users, their limits and permissions.

import { z } from "@hono/zod-openapi";
import { HASHING_ALGORITHMS } from "../core/identity/password_hash.ts";
import type { UserRequest } from "../core/management/management.ts";
import { created, noContent } from "./json.ts";
import { answerList, listQuery } from "./list.ts";
import { badRequest, notFound } from "./problem.ts";
import type { Router } from "./router.ts";
import { limitBody, listAnswer, permissionAnswer, plainFields, topicPermissionAnswer, userAnswer } from "./schemas.ts";
import type { HttpServices } from "./services.ts";

const TAG = "Users";
const PERMISSIONS_TAG = "Permissions";
const PUT = [201, 204];

const userBody = z.object({
  password: z.string().optional(),
  password_hash: z.string().optional(),
  hashing_algorithm: z.enum(HASHING_ALGORITHMS).optional(),
  tags: z.union([z.string(), z.array(z.string())]).optional().describe("a list, or a text with commas"),
  limits: z.record(z.string(), z.unknown()).optional(),
}).openapi("UserRequest");

const permissionBody = z.object({ configure: z.string(), write: z.string(), read: z.string() })
  .openapi("PermissionRequest");
const topicBody = z.object({ exchange: z.string(), write: z.string(), read: z.string() })
  .openapi("TopicPermissionRequest");
const topicQuery = z.object({ exchange: z.string().optional().describe("only those for this exchange") });

export function addUsers(router: Router, { management, realm }: HttpServices): void {
  const administrator = "administrator";
  const query = listQuery;
  const nameOf = ({ name }: { readonly name: string }) => name;
  router.add(
    "get",
    "/api/users",
    { summary: "All users", tag: TAG, access: administrator, query, answer: listAnswer(userAnswer) },
    ({ query }) =>
      answerList({ items: management.listUsers(), fields: plainFields(userAnswer), context: null, nameOf }, query),
  );
  router.add(
    "get",
    "/api/users/without-permissions",
    { summary: "Users without any permission", tag: TAG, access: administrator, answer: z.array(userAnswer) },
    () => {
      const allowed = new Set(management.listPermissions().map(({ user }) => user));
      return management.listUsers().filter(({ name }) => !allowed.has(name));
    },
  );
  router.add(
    "post",
    "/api/users/bulk-delete",
    {
      summary: "Delete several users",
      tag: TAG,
      access: administrator,
      body: z.object({ users: z.array(z.string()).max(10_000) }).openapi("UserNames"),
    },
    async ({ body }) => {
      for (const name of new Set(body.users)) if (realm.users.find(name) !== null) await management.deleteUser(name);
    },
  );
  router.add(
    "get",
    "/api/users/{name}",
    { summary: "One user", tag: TAG, access: administrator, answer: userAnswer },
    ({ params }) => management.getUser(params.name),
  );
  router.add(
    "put",
    "/api/users/{name}",
    { summary: "Make or change a user", tag: TAG, access: administrator, body: userBody, statuses: PUT },
    async ({ params, body }) => {
      const { tags, limits } = body;
      if (tags === undefined) throw badRequest("tags_not_present");
      const isNew = await management.putUser(params.name, {
        password: passwordOf(body),
        tags: typeof tags === "string" ? split(tags) : tags,
        ...(limits === undefined ? {} : { limits: limits as NonNullable<UserRequest["limits"]> }),
      });
      return isNew ? created() : noContent();
    },
  );
  router.add(
    "delete",
    "/api/users/{name}",
    { summary: "Delete a user, and end its connections", tag: TAG, access: administrator },
    ({ params }) => management.deleteUser(params.name),
  );
  addPermissions(router, { management, realm });
  addUserLimits(router, { management, realm });
}

type Managed = Pick<HttpServices, "management" | "realm">;

function addPermissions(router: Router, { management, realm }: Managed): void {
  const tag = PERMISSIONS_TAG;
  const access = "administrator";
  const kinds = [
    ["permissions", "Permissions", permissionAnswer, () => management.listPermissions()],
    ["topic-permissions", "Permissions for topics", topicPermissionAnswer, () => management.listTopicPermissions()],
  ] as const;
  for (const [kind, what, answer, list] of kinds) {
    const all = { tag, access, query: listQuery, answer: listAnswer(answer) } as const;
    const answerOf = (items: readonly { readonly user: string }[], query: z.output<typeof listQuery>) => {
      return answerList({ items, fields: plainFields(answer), context: null, nameOf: ({ user }) => user }, query);
    };
    router.add("get", `/api/${kind}`, { ...all, summary: `${what} of all` }, ({ query }) => answerOf(list(), query));
    router.add(
      "get",
      `/api/vhosts/{vhost}/${kind}`,
      { ...all, summary: `${what} in a virtual host` },
      ({ params, query }) => answerOf(list().filter(({ vhost }) => vhost === realm.vhost(params.vhost).name), query),
    );
    router.add(
      "get",
      `/api/users/{user}/${kind}`,
      { ...all, summary: `${what} of a user` },
      ({ params, query }) => answerOf(list().filter(({ user }) => user === realm.users.get(params.user).name), query),
    );
  }
  router.add(
    "get",
    "/api/permissions/{vhost}/{user}",
    { summary: "What a user may do in a virtual host", tag, access, answer: permissionAnswer },
    ({ params }) => {
      const permission = management.getPermission(params.user, params.vhost);
      if (permission === null) throw notFound();
      return permission;
    },
  );
  router.add(
    "put",
    "/api/permissions/{vhost}/{user}",
    { summary: "Say what a user may do in a virtual host", tag, access, body: permissionBody, statuses: PUT },
    async ({ params, body }) => {
      const { user, vhost } = params;
      expectBoth(realm, user, vhost);
      return await management.putPermission({ user, vhost, ...body }) ? created() : noContent();
    },
  );
  router.add(
    "delete",
    "/api/permissions/{vhost}/{user}",
    { summary: "Take a user's permissions in a virtual host away", tag, access },
    async ({ params }) => {
      if (!await management.deletePermission(params.user, params.vhost)) throw notFound();
    },
  );
  router.add(
    "get",
    "/api/topic-permissions/{vhost}/{user}",
    { summary: "Topics that a user may use", tag, access, answer: z.array(topicPermissionAnswer) },
    ({ params }) => {
      const [user, vhost] = [realm.users.get(params.user).name, realm.vhost(params.vhost).name];
      const found = management.listTopicPermissions().filter((one) => one.user === user && one.vhost === vhost);
      if (found.length === 0) throw notFound();
      return found;
    },
  );
  router.add(
    "put",
    "/api/topic-permissions/{vhost}/{user}",
    { summary: "Say which topics of an exchange a user may use", tag, access, body: topicBody, statuses: PUT },
    async ({ params, body }) => {
      const { user, vhost } = params;
      expectBoth(realm, user, vhost);
      return await management.putTopicPermission({ user, vhost, ...body }) ? created() : noContent();
    },
  );
  router.add(
    "delete",
    "/api/topic-permissions/{vhost}/{user}",
    { summary: "Take a user's topic permissions away", tag, access, query: topicQuery },
    async ({ params, query }) => {
      const { user, vhost } = params;
      if (!await management.deleteTopicPermission(user, vhost, query.exchange ?? null)) throw notFound();
    },
  );
  router.add(
    "delete",
    "/api/topic-permissions/{vhost}/{user}/{exchange}",
    { summary: "Take a user's permissions for the topics of one exchange away", tag, access },
    async ({ params: { user, vhost, exchange } }) => {
      if (!await management.deleteTopicPermission(user, vhost, exchange)) throw notFound();
    },
  );
}

/** As with RabbitMQ it is the request that is wrong when one of them is not there. */
function expectBoth(realm: Managed["realm"], user: string, vhost: string): void {
  if (realm.users.find(user) === null || !realm.vhosts.has(vhost)) throw badRequest("vhost_or_user_not_found");
}

function addUserLimits(router: Router, { management, realm }: Managed): void {
  const tag = "Limits";
  const access = "administrator";
  const answer = z.array(z.object({ user: z.string(), value: z.record(z.string(), z.number()) }));
  router.add("get", "/api/user-limits", { summary: "Limits of all users", tag, access, answer }, () => {
    return management.listUserLimits();
  });
  router.add("get", "/api/user-limits/{user}", { summary: "Limits of a user", tag, access, answer }, ({ params }) => {
    const { name } = realm.users.get(params.user);
    return management.listUserLimits().filter(({ user }) => user === name);
  });
  router.add(
    "put",
    "/api/user-limits/{user}/{limit}",
    { summary: "Set a user's limit", tag, access, body: limitBody },
    ({ params, body }) => management.setUserLimit(params.user, params.limit, body.value),
  );
  router.add(
    "delete",
    "/api/user-limits/{user}/{limit}",
    { summary: "Take a user's limit away", tag, access },
    ({ params }) => management.setUserLimit(params.user, params.limit, null),
  );
}

/** As with RabbitMQ: a user that is put without a password has none. */
function passwordOf(body: z.output<typeof userBody>): NonNullable<UserRequest["password"]> | null {
  const { password, password_hash: hash, hashing_algorithm: algorithm } = body;
  if (password !== undefined && hash !== undefined) throw badRequest("both_password_and_password_hash_are_provided");
  if (password !== undefined) return password;
  if (hash === undefined || hash === "") return null;
  return { hash, algorithm: algorithm ?? "rabbit_password_hashing_sha256" };
}

export function split(text: string): string[] {
  return text.split(",").map((part) => part.trim()).filter((part) => part !== "");
}
