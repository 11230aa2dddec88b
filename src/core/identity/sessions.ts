// All sessions: who may open one, and the end of those whose user or virtual host is deleted.

import { Refusal } from "../refusal.ts";
import type { VirtualHost } from "../virtual_host.ts";
import type { Permissions } from "./permissions.ts";
import { Session, type SessionOptions } from "./session.ts";
import type { User } from "./users.ts";

export interface SessionRequest extends Omit<SessionOptions, "vhost"> {
  readonly vhost: string;
}

export class Sessions {
  readonly #sessions = new Set<Session>();
  readonly #vhosts: ReadonlyMap<string, VirtualHost>;
  readonly #permissions: Permissions;

  constructor(vhosts: ReadonlyMap<string, VirtualHost>, permissions: Permissions) {
    this.#vhosts = vhosts;
    this.#permissions = permissions;
  }

  list(): Session[] {
    return [...this.#sessions];
  }

  /** Opens one for a user who has logged in, in RabbitMQ's order of refusals. The caller closes it. */
  open(request: SessionRequest): Session {
    const { user } = request;
    const vhost = this.#vhosts.get(request.vhost);
    if (vhost === undefined) throw new Refusal("not-allowed", `vhost ${request.vhost} not found`);
    const access = `access to vhost '${vhost.name}' refused for user '${user.name}'`;
    const ofVhost = vhost.limits.maxConnections;
    if (ofVhost !== undefined && vhost.connectionCount >= ofVhost) {
      throw new Refusal("not-allowed", `${access}: connection limit (${ofVhost}) is reached`);
    }
    const ofUser = user.limits.maxConnections;
    if (ofUser !== undefined && user.connectionCount >= ofUser) {
      const text = `Connection refused for user '${user.name}': user connection limit (${ofUser}) is reached`;
      throw new Refusal("not-allowed", text);
    }
    if (!this.#permissions.mayEnter(user.name, vhost.name)) throw new Refusal("not-allowed", access);
    const session = new Session({ ...request, vhost }, this.#permissions, (ended) => this.#closed(ended));
    this.#sessions.add(session);
    vhost.connectionCount++;
    user.connectionCount++;
    return session;
  }

  #closed(session: Session): void {
    this.#sessions.delete(session);
    session.vhost.connectionCount--;
    session.user.connectionCount--;
  }

  /** Ends those of a user that was deleted. */
  expelUser(user: User): void {
    for (const session of this.list()) {
      if (session.user === user) session.expel(`user '${user.name}' was deleted`);
    }
  }

  /** Ends those of a virtual host that was deleted. */
  expelVhost(vhost: VirtualHost): void {
    for (const session of this.list()) {
      if (session.vhost === vhost) session.expel(`vhost '${vhost.name}' was deleted`);
    }
  }
}
