// The door for administrators, whatever they come by (a program, HTTP, the command line): everything that can be asked
// and changed about users, virtual hosts, permissions, limits, policies, parameters and definitions. What changes
// something resolves when that is on disk, and rejects with a Refusal that names what is wrong. Nothing here asks
// whether the caller may do it.

import type { QueueType } from "../any_queue.ts";
import {
  givenHash,
  type HashingAlgorithm,
  hashPassword,
  NO_PASSWORD,
  type PasswordHash,
} from "../identity/password_hash.ts";
import type { Permission, TopicPermission } from "../identity/permissions.ts";
import type { User } from "../identity/users.ts";
import type { Json, JsonObject } from "../policies/json.ts";
import { ignoredKeys, invalid, type PolicyKind, type PolicyRequest } from "../policies/policy.ts";
import type { Realm } from "../realm.ts";
import type { VirtualHost } from "../virtual_host.ts";
import { exportDefinitions, type WholeDefinitions } from "./definitions_export.ts";
import { type ImportOptions, planImport } from "./definitions_import.ts";
import { LIMITS, OPERATOR_POLICY, parametersOf, policyOf, VHOST_LIMITS } from "./component_parameters.ts";
import { readUserLimits, readVhostLimits } from "./limits.ts";
import {
  type ParameterShape,
  type PolicyShape,
  policyShape,
  userLimitsShape,
  type UserShape,
  userShape,
  vhostLimitsShape,
  type VhostShape,
  vhostShape,
} from "./shapes.ts";

export interface ManagementServices {
  readonly realm: Realm;
  /** Resolves when all that was changed is on disk. */
  durable(): Promise<void>;
  /** Something that an administrator should know. */
  report(text: string): void;
  /** As definitions name the product. */
  readonly product: { readonly name: string; readonly version: string };
}

/** What is left out stays as it is. */
export interface UserRequest {
  /** A new one, a hash that another broker made, or null: it cannot log in by password. */
  readonly password?: string | { readonly hash: string; readonly algorithm: HashingAlgorithm } | null;
  readonly tags?: readonly string[];
  /** `{"max-connections": 10, "max-channels": 20}`. */
  readonly limits?: JsonObject;
}

/** What is left out stays as it is. */
export interface VhostRequest {
  readonly description?: string;
  readonly tags?: readonly string[];
  readonly defaultQueueType?: QueueType | null;
}

export class Management {
  readonly realm: Realm;
  readonly #services: ManagementServices;

  constructor(services: ManagementServices) {
    this.realm = services.realm;
    this.#services = services;
  }

  /** The user, or null; who fails too often waits for the answer. For listeners that know no slower way. */
  async logIn(name: string, password: string, remoteHost: string): Promise<User | null> {
    const { users, logins } = this.realm;
    const waitMs = logins.waitMs(name, remoteHost);
    if (waitMs === null) return null;
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const user = users.authenticate(name, password, remoteHost);
    if (user === null) logins.failed(name, remoteHost);
    else logins.succeeded(name, remoteHost);
    return user;
  }

  // Users

  listUsers(): UserShape[] {
    return this.realm.users.list().map(userShape);
  }

  getUser(name: string): UserShape {
    return userShape(this.realm.users.get(name));
  }

  /** Makes or changes a user; resolves to whether it is new. */
  async putUser(name: string, { password, tags, limits }: UserRequest): Promise<boolean> {
    const isNew = this.realm.users.put(name, {
      ...(password === undefined ? {} : { password: passwordOf(password) }),
      ...(tags === undefined ? {} : { tags }),
      ...(limits === undefined ? {} : { limits: readUserLimits(limits) }),
    });
    await this.#services.durable();
    return isNew;
  }

  async deleteUser(name: string): Promise<void> {
    this.realm.deleteUser(name);
    await this.#services.durable();
  }

  listUserLimits(): { user: string; value: JsonObject }[] {
    const all = this.realm.users.list().map(({ name, limits }) => ({ user: name, value: userLimitsShape(limits) }));
    return all.filter(({ value }) => Object.keys(value).length > 0);
  }

  /** Sets one limit; null takes it away. */
  async setUserLimit(name: string, limit: string, value: Json): Promise<void> {
    const limits = changed(userLimitsShape(this.realm.users.get(name).limits), limit, value);
    this.realm.users.put(name, { limits: readUserLimits(limits) });
    await this.#services.durable();
  }

  // Virtual hosts

  listVhosts(): VhostShape[] {
    return [...this.realm.vhosts.values()].map(vhostShape);
  }

  getVhost(name: string): VhostShape {
    return vhostShape(this.realm.vhost(name));
  }

  /** Makes or changes one; resolves to whether it is new. `owner` is given all permissions in a new one. */
  async putVhost(name: string, request: VhostRequest = {}, owner: string | null = null): Promise<boolean> {
    if (owner !== null) this.realm.users.get(owner);
    const before = this.realm.vhosts.get(name)?.metadata ?? { description: "", tags: [], defaultQueueType: null };
    const { description = before.description, tags = before.tags } = request;
    const { defaultQueueType = before.defaultQueueType } = request;
    const isNew = this.realm.putVhost(name, { metadata: { description, tags, defaultQueueType } });
    if (isNew && owner !== null) {
      this.realm.permissions.put({ user: owner, vhost: name, configure: ".*", write: ".*", read: ".*" });
    }
    await this.#services.durable();
    return isNew;
  }

  /** With all that is in it; ends its connections. */
  async deleteVhost(name: string): Promise<void> {
    this.realm.deleteVhost(name);
    await this.#services.durable();
  }

  listVhostLimits(): { vhost: string; value: JsonObject }[] {
    const all = [...this.realm.vhosts.values()].map(({ name, limits }) => {
      return { vhost: name, value: vhostLimitsShape(limits) };
    });
    return all.filter(({ value }) => Object.keys(value).length > 0);
  }

  /** Sets one limit; null takes it away. */
  async setVhostLimit(name: string, limit: string, value: Json): Promise<void> {
    const limits = changed(vhostLimitsShape(this.realm.vhost(name).limits), limit, value);
    this.realm.putVhost(name, { limits: readVhostLimits(limits) });
    await this.#services.durable();
  }

  // Permissions

  listPermissions(): Permission[] {
    return this.realm.permissions.list();
  }

  getPermission(user: string, vhost: string): Permission | null {
    return this.realm.permissions.find(user, vhost);
  }

  /** Resolves to whether it is new. */
  async putPermission(permission: Permission): Promise<boolean> {
    this.#expectUserAndVhost(permission);
    const isNew = this.realm.permissions.put(permission);
    await this.#services.durable();
    return isNew;
  }

  /** Resolves to whether there was one. */
  async deletePermission(user: string, vhost: string): Promise<boolean> {
    this.#expectUserAndVhost({ user, vhost });
    const wasThere = this.realm.permissions.delete(user, vhost);
    await this.#services.durable();
    return wasThere;
  }

  listTopicPermissions(): TopicPermission[] {
    return this.realm.permissions.listTopics();
  }

  /** Resolves to whether it is new. */
  async putTopicPermission(permission: TopicPermission): Promise<boolean> {
    this.#expectUserAndVhost(permission);
    const isNew = this.realm.permissions.putTopic(permission);
    await this.#services.durable();
    return isNew;
  }

  /** Of one exchange, or of all; resolves to whether there was one. */
  async deleteTopicPermission(user: string, vhost: string, exchange: string | null = null): Promise<boolean> {
    this.#expectUserAndVhost({ user, vhost });
    const wasThere = this.realm.permissions.deleteTopic(user, vhost, exchange);
    await this.#services.durable();
    return wasThere;
  }

  // Policies

  /** Of one virtual host, or of all. */
  listPolicies(kind: PolicyKind, vhost: string | null = null): PolicyShape[] {
    return this.#vhosts(vhost).flatMap(({ name, policies }) =>
      policies.list(kind).map((one) => policyShape(name, one))
    );
  }

  getPolicy(kind: PolicyKind, vhost: string, name: string): PolicyShape | null {
    const policy = this.realm.vhost(vhost).policies.find(kind, name);
    return policy === null ? null : policyShape(vhost, policy);
  }

  /** Holds at once; resolves to whether it is new. */
  async putPolicy(kind: PolicyKind, vhostName: string, name: string, request: PolicyRequest): Promise<boolean> {
    const vhost = this.realm.vhost(vhostName);
    const isNew = vhost.policies.put(kind, name, request);
    vhost.applyPolicies();
    this.#reportIgnored(kind, vhost, name);
    await this.#services.durable();
    return isNew;
  }

  /** Resolves to whether there was one. */
  async deletePolicy(kind: PolicyKind, vhostName: string, name: string): Promise<boolean> {
    const vhost = this.realm.vhost(vhostName);
    const wasThere = vhost.policies.delete(kind, name);
    if (wasThere) vhost.applyPolicies();
    await this.#services.durable();
    return wasThere;
  }

  #reportIgnored(kind: PolicyKind, { name: vhost, policies }: VirtualHost, name: string): void {
    const keys = ignoredKeys(policies.find(kind, name)!);
    if (keys.length === 0) return;
    this.#services.report(`${kind} '${name}' in vhost '${vhost}' sets what changes nothing here: ${keys.join(", ")}`);
  }

  // Parameters

  /** Of one virtual host, or of all. */
  listParameters(vhost: string | null = null): ParameterShape[] {
    return this.#vhosts(vhost).flatMap((one) => parametersOf(one));
  }

  getParameter(vhost: string, component: string, name: string): ParameterShape | null {
    const all = this.listParameters(vhost);
    return all.find((parameter) => parameter.component === component && parameter.name === name) ?? null;
  }

  /** Resolves to whether it is new. */
  async putParameter(vhostName: string, component: string, name: string, value: Json): Promise<boolean> {
    if (component === OPERATOR_POLICY) return await this.putPolicy("operator-policy", vhostName, name, policyOf(value));
    const isNew = this.getParameter(vhostName, component, name) === null;
    if (component === VHOST_LIMITS) {
      if (name !== LIMITS) invalid(`the limits of a virtual host are the parameter '${LIMITS}', not '${name}'`);
      this.realm.putVhost(vhostName, { limits: readVhostLimits(value) });
    } else {
      if (component === "policy") invalid("policies are not set as parameters");
      this.realm.vhost(vhostName).parameters.put(component, name, value);
    }
    await this.#services.durable();
    return isNew;
  }

  /** Resolves to whether there was one. */
  async deleteParameter(vhostName: string, component: string, name: string): Promise<boolean> {
    const wasThere = this.getParameter(vhostName, component, name) !== null;
    if (component === OPERATOR_POLICY) return await this.deletePolicy("operator-policy", vhostName, name);
    if (component === VHOST_LIMITS && wasThere) this.realm.putVhost(vhostName, { limits: {} });
    else this.realm.vhost(vhostName).parameters.delete(component, name);
    await this.#services.durable();
    return wasThere;
  }

  listGlobalParameters(): { name: string; value: Json }[] {
    return this.realm.globalParameters.list();
  }

  /** Undefined when there is none. */
  getGlobalParameter(name: string): Json | undefined {
    return this.realm.globalParameters.find(name);
  }

  /** Resolves to whether it is new. */
  async putGlobalParameter(name: string, value: Json): Promise<boolean> {
    const isNew = this.realm.globalParameters.put(name, value);
    await this.#services.durable();
    return isNew;
  }

  /** Resolves to whether there was one. */
  async deleteGlobalParameter(name: string): Promise<boolean> {
    const wasThere = this.realm.globalParameters.delete(name);
    await this.#services.durable();
    return wasThere;
  }

  // Definitions

  /** Everything, or of one virtual host what is in it. */
  exportDefinitions(vhost: string | null = null): WholeDefinitions {
    return exportDefinitions(this.realm, this.#services.product, vhost);
  }

  /**
   * Makes what a definitions file holds, of RabbitMQ's format. What is there already stays, users are changed unless
   * `keepUsers`. All of it is checked first: a file with a mistake changes nothing.
   */
  async importDefinitions(definitions: unknown, options: ImportOptions = {}): Promise<void> {
    const apply = planImport(this.realm, definitions, options);
    for (const text of apply()) this.#services.report(text);
    await this.#services.durable();
  }

  #vhosts(name: string | null): VirtualHost[] {
    return name === null ? [...this.realm.vhosts.values()] : [this.realm.vhost(name)];
  }

  #expectUserAndVhost({ user, vhost }: { readonly user: string; readonly vhost: string }): void {
    this.realm.users.get(user);
    this.realm.vhost(vhost);
  }
}

function passwordOf(password: NonNullable<UserRequest["password"]> | null): PasswordHash {
  if (password === null) return NO_PASSWORD;
  return typeof password === "string" ? hashPassword(password) : givenHash(password.hash, password.algorithm);
}

function changed(limits: JsonObject, name: string, value: Json): JsonObject {
  const { [name]: _, ...others } = limits;
  return value === null ? others : { ...others, [name]: value };
}
