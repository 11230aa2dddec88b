// A definitions file becomes part of a realm: first everything in it is checked, against itself and against what is there,
// then it is made. What is there already stays as it is; so an import may be repeated.

import type { QueueType } from "../any_queue.ts";
import type { Arguments } from "../arguments.ts";
import type { Exchange, ExchangeDeclaration } from "../exchange.ts";
import { BUILT_IN, checkExchangeType, createExchange } from "../exchanges/create.ts";
import { checkName } from "../identity/names.ts";
import {
  givenHash,
  type HashingAlgorithm,
  hashPassword,
  NO_PASSWORD,
  type PasswordHash,
} from "../identity/password_hash.ts";
import { compilePattern } from "../identity/permissions.ts";
import { argumentsOfJson } from "../json_arguments.ts";
import { checkParameter } from "../parameters.ts";
import { ignoredKeys, type PolicyKind, type PolicyRequest, readPolicy } from "../policies/policy.ts";
import { type QueueDeclaration, settingsOf } from "../queue_factory.ts";
import { checkProperties } from "../queue_settings.ts";
import type { Realm } from "../realm.ts";
import { Refusal } from "../refusal.ts";
import {
  type DefinitionsFile,
  type QueueEntry,
  readDefinitionsFile,
  type UserEntry,
  type VhostEntry,
} from "./definitions_schema.ts";
import { readUserLimits, readVhostLimits } from "./limits.ts";
import { policyOf } from "./component_parameters.ts";

export interface ImportOptions {
  /** Where the entries of a file of one virtual host go. */
  readonly vhost?: string | null;
  /** Users that are there already stay as they are. */
  readonly keepUsers?: boolean;
}

/** What the entries of the file come to: things to do, in the order in which they can be done. */
type Step = () => void;

/** Checks all of the file; returns what makes it, which in turn returns what an administrator should know. */
export function planImport(realm: Realm, value: unknown, options: ImportOptions): () => string[] {
  const plan = new Plan(realm, readDefinitionsFile(value), options);
  return plan.check();
}

class Plan {
  readonly #realm: Realm;
  readonly #file: DefinitionsFile;
  readonly #vhost: string | null;
  readonly #keepUsers: boolean;
  readonly #steps: Step[] = [];
  readonly #reports: string[] = [];
  /** Of those in the file that are not there yet, by virtual host and name. */
  readonly #exchanges = new Map<string, Exchange>();
  readonly #queues = new Set<string>();
  /** By virtual host: what the file says, or what holds now. */
  readonly #queuesMax = new Map<string, number | undefined>();
  /** Virtual hosts whose policies change. */
  readonly #ruled = new Set<string>();
  readonly #userNames: Set<string>;
  readonly #vhostNames: Set<string>;

  constructor(realm: Realm, file: DefinitionsFile, { vhost = null, keepUsers = false }: ImportOptions) {
    this.#realm = realm;
    this.#file = file;
    this.#vhost = vhost;
    this.#keepUsers = keepUsers;
    // A file of one virtual host says nothing of the broker, whatever stands there.
    const [users, vhosts] = vhost === null ? [file.users, file.vhosts] : [[], []];
    this.#userNames = new Set([...realm.users.list().map(({ name }) => name), ...users.map(({ name }) => name)]);
    this.#vhostNames = new Set([...realm.vhosts.keys(), ...vhosts.map(({ name }) => name)]);
  }

  check(): () => string[] {
    const file = this.#file;
    if (this.#vhost === null) {
      this.#each("users", file.users, ({ name }) => `user '${name}'`, (entry) => this.#user(entry));
      this.#each("vhosts", file.vhosts, ({ name }) => `vhost '${name}'`, (entry) => this.#virtualHost(entry));
      this.#permissions();
      this.#each("global_parameters", file.global_parameters, ({ name }) => `'${name}'`, ({ name, value }) => {
        checkParameter(name, value);
        this.#steps.push(() => void this.#realm.globalParameters.put(name, value));
      });
    }
    this.#parameters();
    this.#each("policies", file.policies, ({ name }) => `policy '${name}'`, (entry) => {
      const { name, pattern, definition, priority, "apply-to": applyTo } = entry;
      this.#policy("policy", this.#vhostOf(entry), name, { pattern, definition, priority, applyTo });
    });
    // Once for all: each looks at every queue.
    for (const vhost of this.#ruled) this.#steps.push(() => this.#realm.vhost(vhost).applyPolicies());
    this.#topology();
    return () => {
      for (const step of this.#steps) step();
      return this.#reports;
    };
  }

  #user(entry: UserEntry): void {
    const { name, tags } = entry;
    checkName(name, "user");
    const [password, limits] = [this.#passwordOf(entry), readUserLimits(entry.limits)];
    if (this.#keepUsers && this.#realm.users.find(name) !== null) return;
    this.#steps.push(() => void this.#realm.users.put(name, { password, tags, limits }));
  }

  #passwordOf({ password, password_hash: hash, hashing_algorithm: algorithm }: UserEntry): PasswordHash {
    if (password !== undefined && hash !== undefined) refuse("both password and password_hash are given");
    if (password !== undefined) return hashPassword(password);
    return hash === undefined ? NO_PASSWORD : givenHash(hash, algorithm ?? this.#oldAlgorithm());
  }

  /** Of files that do not name one: RabbitMQ hashed with MD5 before 3.6. */
  #oldAlgorithm(): HashingAlgorithm {
    const version = this.#file.rabbitmq_version ?? this.#file.rabbit_version ?? "";
    const [, major, minor] = /^(\d+)\.(\d+)/.exec(version) ?? [];
    const isOld = major !== undefined && Number(major) * 1000 + Number(minor) < 3006;
    return isOld ? "rabbit_password_hashing_md5" : "rabbit_password_hashing_sha256";
  }

  #virtualHost(entry: VhostEntry): void {
    const { name, metadata: inner } = entry;
    checkName(name, "vhost");
    const description = entry.description ?? inner?.description ?? "";
    const tags = entry.tags ?? inner?.tags ?? [];
    const defaultQueueType = readQueueType(entry.default_queue_type ?? inner?.default_queue_type ?? null);
    const limits = readVhostLimits(entry.limits);
    if (limits.maxQueues !== undefined) this.#queuesMax.set(name, limits.maxQueues);
    this.#steps.push(() => {
      const given = Object.keys(limits).length > 0 ? { limits } : {};
      this.#realm.putVhost(name, { metadata: { description, tags, defaultQueueType }, ...given });
    });
  }

  #permissions(): void {
    const { permissions } = this.#realm;
    const check = ({ user, vhost }: { user: string; vhost: string }): void => {
      if (!this.#userNames.has(user)) refuse(`user '${user}' does not exist`);
      this.#expectVhost(vhost);
    };
    const where = ({ user, vhost }: { user: string; vhost: string }) => `of user '${user}' in vhost '${vhost}'`;
    this.#each("permissions", this.#file.permissions, where, (entry) => {
      check(entry);
      for (const action of ["configure", "write", "read"] as const) compilePattern(action, entry[action]);
      this.#steps.push(() => void permissions.put(entry));
    });
    this.#each("topic_permissions", this.#file.topic_permissions, where, (entry) => {
      check(entry);
      for (const action of ["write", "read"] as const) compilePattern(action, entry[action]);
      this.#steps.push(() => void permissions.putTopic(entry));
    });
  }

  #parameters(): void {
    this.#each("parameters", this.#file.parameters, ({ name }) => `'${name}'`, (entry) => {
      const { component, name, value } = entry;
      const vhost = this.#vhostOf(entry);
      if (component === "operator_policy") return this.#policy("operator-policy", vhost, name, policyOf(value));
      if (component === "vhost-limits") {
        const limits = readVhostLimits(value);
        this.#queuesMax.set(vhost, limits.maxQueues);
        return void this.#steps.push(() => void this.#realm.putVhost(vhost, { limits }));
      }
      checkParameter(name, value);
      this.#steps.push(() => void this.#realm.vhost(vhost).parameters.put(component, name, value));
    });
  }

  #policy(kind: PolicyKind, vhost: string, name: string, request: PolicyRequest): void {
    const ignored = ignoredKeys(readPolicy(kind, name, request));
    if (ignored.length > 0) {
      const text = `${kind} '${name}' in vhost '${vhost}' sets what changes nothing here: ${ignored.join(", ")}`;
      this.#reports.push(text);
    }
    this.#steps.push(() => void this.#realm.vhost(vhost).policies.put(kind, name, request));
    this.#ruled.add(vhost);
  }

  // Exchanges, queues, bindings

  #topology(): void {
    const { exchanges, queues, bindings } = this.#file;
    this.#each("exchanges", exchanges, ({ name }) => `exchange '${name}'`, (entry) => {
      const { name, type, durable, internal } = entry;
      const vhost = this.#vhostOf(entry);
      if (isReserved(name)) return;
      checkName(name, "exchange");
      if (this.#realm.vhosts.get(vhost)?.exchanges.has(name)) return;
      const args = argumentsOfJson(entry.arguments);
      const declaration = { type, durable, autoDelete: entry.auto_delete, internal, args };
      this.#exchange(vhost, name, declaration);
      this.#steps.push(() => void this.#realm.vhost(vhost).declareExchange(name, declaration));
    });
    this.#each("queues", queues, ({ name }) => `queue '${name}'`, (entry) => this.#queue(entry));
    this.#checkQueueCounts();
    this.#each("bindings", bindings, ({ source, destination }) => `of '${destination}' to '${source}'`, (entry) => {
      const { source, destination, destination_type: kind, routing_key: routingKey } = entry;
      const vhost = this.#vhostOf(entry);
      const args = argumentsOfJson(entry.arguments);
      if (source === "" || (kind === "queue" && destination.startsWith("amq.gen-"))) return;
      this.#binding(vhost, source, kind, destination);
      this.#exchangeIn(vhost, source)!.matcher.check(routingKey, args);
      this.#steps.push(() => {
        const host = this.#realm.vhost(vhost);
        host.bind(source, kind === "queue" ? host.queue(destination) : host.exchange(destination), routingKey, args);
      });
    });
  }

  #exchange(vhost: string, name: string, declaration: ExchangeDeclaration): void {
    const key = keyOf(vhost, name);
    if (this.#exchanges.has(key)) refuse("it stands there twice");
    checkExchangeType(declaration.type);
    this.#exchanges.set(key, createExchange(name, declaration, `exchange '${name}' in vhost '${vhost}'`));
  }

  #queue(entry: QueueEntry): void {
    const { name, durable, auto_delete: autoDelete } = entry;
    const vhost = this.#vhostOf(entry);
    if (name.startsWith("amq.")) return;
    checkName(name, "queue");
    if (this.#realm.vhosts.get(vhost)?.queues.has(name)) return;
    const key = keyOf(vhost, name);
    if (this.#queues.has(key)) refuse("it stands there twice");
    this.#queues.add(key);
    const declaration: QueueDeclaration = { durable, autoDelete, exclusive: false, args: queueArguments(entry) };
    const text = `queue '${name}' in vhost '${vhost}'`;
    checkProperties(settingsOf(declaration.args, text), declaration, text);
    this.#steps.push(() => void this.#realm.vhost(vhost).declareQueue(name, declaration, this));
  }

  #checkQueueCounts(): void {
    const counts = new Map<string, number>();
    for (const key of this.#queues) {
      const vhost = key.slice(0, key.indexOf("\0"));
      counts.set(vhost, (counts.get(vhost) ?? 0) + 1);
    }
    for (const [vhost, count] of counts) {
      const present = this.#realm.vhosts.get(vhost);
      const max = this.#queuesMax.has(vhost) ? this.#queuesMax.get(vhost) : present?.limits.maxQueues;
      const there = present?.queues.size ?? 0;
      if (max === undefined || there + count <= max) continue;
      refuse(
        `definitions: adding ${count} queues to vhost '${vhost}', which has ${there}, would exceed its limit of ${max}`,
      );
    }
  }

  #binding(vhost: string, source: string, kind: "queue" | "exchange", destination: string): void {
    if (this.#exchangeIn(vhost, source) === null) refuse(`no exchange '${source}' in vhost '${vhost}'`);
    const isThere = kind === "exchange"
      ? this.#exchangeIn(vhost, destination) !== null
      : this.#queues.has(keyOf(vhost, destination)) || this.#realm.vhosts.get(vhost)?.queues.has(destination);
    if (!isThere) refuse(`no ${kind} '${destination}' in vhost '${vhost}'`);
  }

  /** One that is there, or will be. */
  #exchangeIn(vhost: string, name: string): Exchange | null {
    const present = this.#realm.vhosts.get(vhost)?.exchanges.get(name) ?? this.#exchanges.get(keyOf(vhost, name));
    if (present !== undefined) return present;
    // Of a virtual host to come, which will have those that every one has.
    const standing = { durable: true, autoDelete: false, internal: false, args: new Map() as Arguments };
    const type = STANDING.get(name);
    return type === undefined ? null : createExchange(name, { ...standing, type }, name);
  }

  #vhostOf({ vhost }: { vhost?: string | undefined }): string {
    const name = this.#vhost ?? vhost;
    if (name === undefined) return refuse("it names no vhost, as in the definitions of a single one");
    this.#expectVhost(name);
    return name;
  }

  #expectVhost(name: string): void {
    if (!this.#vhostNames.has(name)) refuse(`vhost '${name}' does not exist`);
  }

  /** Whatever is refused says which entry it was. */
  #each<T>(section: string, entries: readonly T[], nameOf: (entry: T) => string, check: (entry: T) => void): void {
    for (const [index, entry] of entries.entries()) {
      try {
        check(entry);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        const text = error.message.trim().replaceAll("\n", " ");
        throw new Refusal(error.reason, `definitions: ${section}[${index}], ${nameOf(entry)}: ${text}`);
      }
    }
  }
}

const STANDING: ReadonlyMap<string, string> = new Map(BUILT_IN);

const QUEUE_TYPES: ReadonlyMap<string, QueueType> = new Map<string, QueueType>([
  ["classic", "classic"],
  ["rabbit_classic_queue", "classic"],
  ["quorum", "quorum"],
  ["rabbit_quorum_queue", "quorum"],
  ["stream", "stream"],
  ["rabbit_stream_queue", "stream"],
]);

/** Null for none, which older brokers write as "undefined". */
export function readQueueType(text: string | null): QueueType | null {
  if (text === null || text === "" || text === "undefined") return null;
  return QUEUE_TYPES.get(text) ?? refuse(`${text} is not a valid queue type`);
}

/** Newer files say the type beside the arguments. */
function queueArguments({ type, arguments: json }: QueueEntry): Arguments {
  const args = argumentsOfJson(json);
  if (type === undefined || args.has("x-queue-type")) return args;
  const known = readQueueType(type);
  return known === null || known === "classic" ? args : new Map([...args, ["x-queue-type", known]]);
}

function isReserved(exchange: string): boolean {
  return exchange === "" || exchange.startsWith("amq.");
}

function keyOf(vhost: string, name: string): string {
  return `${vhost}\0${name}`;
}

function refuse(text: string): never {
  throw new Refusal("precondition-failed", text);
}
