// What each user may do in each virtual host: three patterns for the names of queues and exchanges, and patterns for the
// routing keys of single topic exchanges. Each change is an entry of the definitions log.

import { Pattern, PatternFault } from "../../lib/pattern/pattern.ts";
import type { DefinitionsSink, Entry } from "../definitions.ts";
import { Refusal } from "../refusal.ts";
import { TOPIC_PERMISSIONS_MAX } from "../../limits.ts";

export type Action = "configure" | "write" | "read";

/** Patterns as they were given; "" allows nothing but the empty name. */
export interface Permission {
  readonly user: string;
  readonly vhost: string;
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

export interface TopicPermission {
  readonly user: string;
  readonly vhost: string;
  readonly exchange: string;
  /** `{username}`, `{vhost}` and `{client_id}` stand for what they are of whoever asks. */
  readonly write: string;
  readonly read: string;
}

interface Rule {
  readonly permission: Permission;
  readonly patterns: Readonly<Record<Action, Pattern>>;
}

/** Of one user in one virtual host. */
interface Rules {
  rule: Rule | null;
  readonly topics: Map<string, TopicPermission>;
}

/** What a session asks. */
export type PermissionRules = Pick<Permissions, "revision" | "allows" | "topicRule">;

/** For whoever may do everything without being a user. */
export const EVERYTHING: PermissionRules = { revision: 0, allows: () => true, topicRule: () => null };

export class Permissions {
  /** Grows with every change: what was allowed under another number is stale. */
  revision = 1;
  /** By user, then by virtual host. */
  readonly #users = new Map<string, Map<string, Rules>>();
  readonly #definitions: DefinitionsSink;
  readonly #onChange: (vhost: string) => void;

  /** `onChange` is told of every virtual host in which somebody may do more or less than before. */
  constructor(definitions: DefinitionsSink, onChange: (vhost: string) => void) {
    this.#definitions = definitions;
    this.#onChange = onChange;
  }

  /** The one place that decides. A user without a rule may do nothing in the virtual host. */
  allows(user: string, vhost: string, action: Action, name: string): boolean {
    return this.#users.get(user)?.get(vhost)?.rule?.patterns[action].test(name) ?? false;
  }

  /** Whether the user may be in the virtual host at all. */
  mayEnter(user: string, vhost: string): boolean {
    return (this.#users.get(user)?.get(vhost)?.rule ?? null) !== null;
  }

  /** The rule for the routing keys of an exchange; null when there is none: then they all are allowed. */
  topicRule(user: string, vhost: string, exchange: string): TopicPermission | null {
    return this.#users.get(user)?.get(vhost)?.topics.get(exchange) ?? null;
  }

  list(): Permission[] {
    const rules = [...this.#users.values()].flatMap((vhosts) => [...vhosts.values()]);
    return rules.flatMap(({ rule }) => rule === null ? [] : [rule.permission]);
  }

  listTopics(): TopicPermission[] {
    return [...this.#users.values()].flatMap((vhosts) =>
      [...vhosts.values()].flatMap(({ topics }) => [...topics.values()])
    );
  }

  find(user: string, vhost: string): Permission | null {
    return this.#users.get(user)?.get(vhost)?.rule?.permission ?? null;
  }

  /** Refuses bad patterns. Returns whether it is new. */
  put(permission: Permission): boolean {
    const { user, vhost } = permission;
    const rules = this.#rules(user, vhost, ruleOf(permission));
    this.#definitions.append(permissionEntry(permission));
    this.#changed(vhost);
    return rules === null;
  }

  putTopic(permission: TopicPermission): boolean {
    const { user, vhost, exchange } = permission;
    for (const action of ["write", "read"] as const) compilePattern(`${action} permission`, permission[action]);
    const { topics } = this.#of(user, vhost);
    const isNew = !topics.has(exchange);
    if (isNew && topics.size >= TOPIC_PERMISSIONS_MAX) {
      throw new Refusal("precondition-failed", `user '${user}' has ${TOPIC_PERMISSIONS_MAX} topic permissions already`);
    }
    topics.set(exchange, permission);
    this.#definitions.append(topicEntry(permission));
    this.#changed(vhost);
    return isNew;
  }

  /** Returns whether there was one. */
  delete(user: string, vhost: string): boolean {
    const rules = this.#users.get(user)?.get(vhost);
    if (rules === undefined || rules.rule === null) return false;
    rules.rule = null;
    this.#tidy(user, vhost);
    this.#definitions.append({ op: "permission-delete", user, vhost });
    this.#changed(vhost);
    return true;
  }

  /** Of one exchange, or, with null, of all of the virtual host. Returns whether there was one. */
  deleteTopic(user: string, vhost: string, exchange: string | null): boolean {
    const topics = this.#users.get(user)?.get(vhost)?.topics;
    const names = exchange === null ? [...topics?.keys() ?? []] : topics?.has(exchange) ? [exchange] : [];
    for (const name of names) {
      topics!.delete(name);
      this.#definitions.append({ op: "topic-permission-delete", user, vhost, exchange: name });
    }
    this.#tidy(user, vhost);
    if (names.length > 0) this.#changed(vhost);
    return names.length > 0;
  }

  /** The user is deleted; so says the log. */
  forgetUser(user: string): void {
    const vhosts = [...this.#users.get(user)?.keys() ?? []];
    this.#users.delete(user);
    for (const vhost of vhosts) this.#changed(vhost);
  }

  /** The virtual host is deleted; so says the log. */
  forgetVhost(vhost: string): void {
    for (const [user, vhosts] of this.#users) {
      vhosts.delete(vhost);
      if (vhosts.size === 0) this.#users.delete(user);
    }
    this.#changed(vhost);
  }

  // Definitions

  restore(entry: Entry): void {
    const permission = entry as unknown as Permission & TopicPermission;
    const { user, vhost, write, read } = permission;
    if (entry.op === "permission") {
      this.#rules(user, vhost, ruleOf({ user, vhost, configure: permission.configure, write, read }));
    } else {
      const { exchange } = permission;
      this.#of(user, vhost).topics.set(exchange, { user, vhost, exchange, write, read });
    }
  }

  *entries(): IterableIterator<Entry> {
    for (const permission of this.list()) yield permissionEntry(permission);
    for (const permission of this.listTopics()) yield topicEntry(permission);
  }

  #changed(vhost: string): void {
    this.revision++;
    this.#onChange(vhost);
  }

  /** Returns the rule that stood there. */
  #rules(user: string, vhost: string, rule: Rule): Rule | null {
    const rules = this.#of(user, vhost);
    const before = rules.rule;
    rules.rule = rule;
    return before;
  }

  #of(user: string, vhost: string): Rules {
    let vhosts = this.#users.get(user);
    if (vhosts === undefined) this.#users.set(user, vhosts = new Map());
    let rules = vhosts.get(vhost);
    if (rules === undefined) vhosts.set(vhost, rules = { rule: null, topics: new Map() });
    return rules;
  }

  #tidy(user: string, vhost: string): void {
    const vhosts = this.#users.get(user);
    const rules = vhosts?.get(vhost);
    if (rules === undefined || rules.rule !== null || rules.topics.size > 0) return;
    vhosts!.delete(vhost);
    if (vhosts!.size === 0) this.#users.delete(user);
  }
}

function ruleOf(permission: Permission): Rule {
  const pattern = (action: Action) => compilePattern(`${action} permission`, permission[action]);
  return { permission, patterns: { configure: pattern("configure"), write: pattern("write"), read: pattern("read") } };
}

/** A permission's pattern, of which an empty one means none rather than all. `what` names it in a refusal. */
export function compilePattern(what: string, text: string): Pattern {
  try {
    return new Pattern(text === "" ? "^$" : text);
  } catch (fault) {
    if (!(fault instanceof PatternFault)) throw fault;
    throw new Refusal("precondition-failed", `${what} should be a regular expression but is invalid: ${fault.message}`);
  }
}

function permissionEntry(permission: Permission): Entry {
  return { op: "permission", ...permission };
}

function topicEntry(permission: TopicPermission): Entry {
  return { op: "topic-permission", ...permission };
}
