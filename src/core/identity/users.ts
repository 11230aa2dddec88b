// The users: who they are, how they prove it, and what they are called to do beyond their permissions (tags). Each change
// is an entry of the definitions log.

import { USERS_MAX } from "../../limits.ts";
import type { DefinitionsSink, Entry } from "../definitions.ts";
import { Refusal } from "../refusal.ts";
import { checkName } from "./names.ts";
import { isLoopback } from "./loopback.ts";
import {
  HASHING_ALGORITHMS,
  type HashingAlgorithm,
  NO_PASSWORD,
  type PasswordHash,
  verifyPassword,
} from "./password_hash.ts";

/** Of RabbitMQ. */
const TAGS_MAX = 32;

/** Undefined: any number. */
export interface UserLimits {
  readonly maxConnections?: number;
  readonly maxChannels?: number;
}

/** One object for as long as the user is there: who holds it sees every change. */
export class User {
  readonly name: string;
  password: PasswordHash;
  /** "administrator", "monitoring", "management", "policymaker", "impersonator", and whatever else. */
  tags: ReadonlySet<string>;
  limits: UserLimits;
  /** Open now, whatever their protocol. */
  connectionCount = 0;
  channelCount = 0;

  constructor(name: string, password: PasswordHash, tags: readonly string[], limits: UserLimits) {
    this.name = name;
    this.password = password;
    this.tags = new Set(tags);
    this.limits = limits;
  }
}

/** What `put` changes; what is left out stays as it is, or is nothing with a new user. */
export interface UserChange {
  readonly password?: PasswordHash;
  readonly tags?: readonly string[];
  readonly limits?: UserLimits;
}

export class Users {
  readonly #users = new Map<string, User>();
  readonly #definitions: DefinitionsSink;
  readonly #loopbackOnly: ReadonlySet<string>;

  /** `loopbackOnly`: the names of users who may connect only from this machine. */
  constructor(definitions: DefinitionsSink, loopbackOnly: readonly string[]) {
    this.#definitions = definitions;
    this.#loopbackOnly = new Set(loopbackOnly);
  }

  get count(): number {
    return this.#users.size;
  }

  list(): User[] {
    return [...this.#users.values()];
  }

  find(name: string): User | null {
    return this.#users.get(name) ?? null;
  }

  get(name: string): User {
    const user = this.#users.get(name);
    if (user === undefined) throw new Refusal("not-found", `user '${name}' does not exist`);
    return user;
  }

  /** Makes or changes a user. Returns whether it is new. */
  put(name: string, { password, tags, limits }: UserChange): boolean {
    if (tags !== undefined) checkTags(tags);
    const user = this.#users.get(name);
    if (user === undefined) {
      checkName(name, "user");
      if (this.#users.size >= USERS_MAX) {
        throw new Refusal("precondition-failed", `there are ${USERS_MAX} users already`);
      }
      const made = new User(name, password ?? NO_PASSWORD, tags ?? [], limits ?? {});
      this.#users.set(name, made);
      this.#definitions.append(userEntry(made));
      return true;
    }
    user.password = password ?? user.password;
    user.tags = tags === undefined ? user.tags : new Set(tags);
    user.limits = limits ?? user.limits;
    this.#definitions.append(userEntry(user));
    return false;
  }

  /** Its permissions and connections are for the caller to end. */
  delete(name: string): void {
    this.get(name);
    this.#users.delete(name);
    this.#definitions.append({ op: "user-delete", name });
  }

  /** The user, if name, password and the peer's address allow it; null otherwise, whatever the reason. */
  authenticate(name: string, password: string, remoteHost: string): User | null {
    const user = this.#users.get(name);
    const matches = verifyPassword(password, user?.password ?? NO_PASSWORD);
    if (user === undefined || !matches) return null;
    return this.mayConnectFrom(name, remoteHost) ? user : null;
  }

  /** Users that everybody knows may connect only from this machine. */
  mayConnectFrom(name: string, remoteHost: string): boolean {
    return !this.#loopbackOnly.has(name) || isLoopback(remoteHost);
  }

  // Definitions

  restore(entry: Entry): void {
    const { name, hash, algorithm, tags, limits } = entry as unknown as UserEntry;
    if (!HASHING_ALGORITHMS.includes(algorithm)) {
      throw new Error(`definitions log: user '${name}' has an unknown hashing algorithm '${algorithm}'`);
    }
    this.#users.set(name, new User(name, { algorithm, hash }, tags, limits));
  }

  *entries(): IterableIterator<Entry> {
    for (const user of this.#users.values()) yield userEntry(user);
  }
}

interface UserEntry {
  readonly name: string;
  readonly hash: string;
  readonly algorithm: HashingAlgorithm;
  readonly tags: readonly string[];
  readonly limits: UserLimits;
}

function userEntry({ name, password: { hash, algorithm }, tags, limits }: User): Entry {
  return { op: "user", name, hash, algorithm, tags: [...tags], limits };
}

function checkTags(tags: readonly string[]): void {
  if (tags.length > TAGS_MAX) throw new Refusal("precondition-failed", `a user has at most ${TAGS_MAX} tags`);
  for (const tag of tags) checkName(tag, "tag");
}
