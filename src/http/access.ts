// Who asks, and what it may see and do: RabbitMQ's tags for what concerns the broker, virtual hosts that it may enter,
// and for what it does to queues and exchanges the same permissions as over AMQP.

import { type Action, EVERYTHING } from "../core/identity/permissions.ts";
import { type ResourceKind, Session } from "../core/identity/session.ts";
import { NO_PASSWORD } from "../core/identity/password_hash.ts";
import { User } from "../core/identity/users.ts";
import type { Realm } from "../core/realm.ts";
import type { VirtualHost } from "../core/virtual_host.ts";
import { accessRefused, NOT_YOURS, notFound, vhostNotFound } from "./problem.ts";

/**
 * What a user must be called. "management": anything of the following; "monitoring": sees everything; "policymaker"; and
 * "administrator", which is all of them.
 */
export type Access = "management" | "monitoring" | "policymaker" | "administrator";

const TAGS: Readonly<Record<Access, readonly string[]>> = {
  management: ["management", "policymaker", "monitoring", "administrator"],
  monitoring: ["monitoring", "administrator"],
  policymaker: ["policymaker", "administrator"],
  administrator: ["administrator"],
};

const REFUSED: Readonly<Record<Access, string>> = {
  management: "Not management user",
  monitoring: "Not monitor user",
  policymaker: NOT_YOURS,
  administrator: "Not administrator user",
};

/** The user behind one request. */
export class Caller {
  readonly user: User;
  readonly #realm: Realm;

  constructor(user: User, realm: Realm) {
    this.user = user;
    this.#realm = realm;
  }

  get name(): string {
    return this.user.name;
  }

  /** The user to whom belongs what it makes; null where it is nobody's. */
  get owner(): string | null {
    return this.name;
  }

  has(access: Access): boolean {
    return TAGS[access].some((tag) => this.user.tags.has(tag));
  }

  expect(access: Access): void {
    if (!this.has(access)) throw accessRefused(REFUSED[access]);
  }

  /** Whether it may look at what is in a virtual host. */
  sees(vhost: string): boolean {
    return this.has("administrator") || this.#realm.permissions.mayEnter(this.name, vhost);
  }

  /** Those whose inside it may look at. */
  get vhosts(): VirtualHost[] {
    return [...this.#realm.vhosts.values()].filter(({ name }) => this.sees(name));
  }

  /** Those of which it may know: who watches over the broker knows of all, if not what is in them. */
  get knownVhosts(): VirtualHost[] {
    return this.has("monitoring") ? [...this.#realm.vhosts.values()] : this.vhosts;
  }

  /** One whose inside it may look at; refused when there is none of this name, or it is none of the caller's business. */
  vhost(name: string): VirtualHost {
    return this.#one(name, this.sees(name));
  }

  /** One of which it may know. */
  knownVhost(name: string): VirtualHost {
    return this.#one(name, this.has("monitoring") || this.sees(name));
  }

  #one(name: string, isSeen: boolean): VirtualHost {
    const vhost = this.#realm.vhosts.get(name);
    if (vhost === undefined) throw notFound();
    if (!isSeen) throw accessRefused("User not authorised to access virtual host");
    return vhost;
  }

  /** The same to do something in it, of which RabbitMQ speaks otherwise. */
  vhostToChange(name: string): VirtualHost {
    if (!this.#realm.vhosts.has(name)) throw vhostNotFound();
    return this.vhost(name);
  }

  /** What decides about its doings in a virtual host, as on an AMQP connection. */
  session(vhost: VirtualHost): Session {
    return new Session({ user: this.user, vhost, expel: () => {} }, this.#realm.permissions, () => {});
  }

  authorize(vhost: VirtualHost, action: Action, kind: ResourceKind, name: string): void {
    this.session(vhost).authorize(action, kind, name);
  }

  /** Whether something of this user's (a connection) may be looked at. */
  seesUser(name: string): boolean {
    return this.has("monitoring") || this.name === name;
  }
}

/** Whoever opens the socket in the data directory: it could as well change the files there, so it may do everything. */
export class LocalCaller extends Caller {
  constructor(realm: Realm) {
    super(new User("", NO_PASSWORD, ["administrator"], {}), realm);
  }

  override get owner(): null {
    return null;
  }

  override session(vhost: VirtualHost): Session {
    return new Session({ user: this.user, vhost, expel: () => {} }, EVERYTHING, () => {});
  }
}
