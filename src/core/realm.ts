// Everything that a broker serves: its virtual hosts, who may do what in them, and who is connected. Made from the
// definitions log and written back to it.

import { VHOSTS_MAX } from "../limits.ts";
import type { DefinitionsSink, Entry } from "./definitions.ts";
import type { DefinitionsReplay } from "./definitions_replay.ts";
import { checkName } from "./identity/names.ts";
import { hashPassword } from "./identity/password_hash.ts";
import { LoginGuard } from "./identity/login_guard.ts";
import { Permissions } from "./identity/permissions.ts";
import { Sessions } from "./identity/sessions.ts";
import { Users } from "./identity/users.ts";
import { GlobalParameters } from "./parameters.ts";
import { Refusal } from "./refusal.ts";
import { NO_METADATA, type VhostLimits, type VhostMetadata } from "./vhost_metadata.ts";
import { VirtualHost } from "./virtual_host.ts";
import type { VirtualHostServices } from "./virtual_host_services.ts";
import { WarmQueues } from "./warm_queues.ts";

export const DEFAULT_VHOST = "/";

export interface RealmOptions {
  /** Users who may connect only from this machine. */
  readonly loopbackOnly: readonly string[];
  /** Who slows down the guessing of passwords; one with the clock of the process without it. */
  readonly logins?: LoginGuard;
}

export class Realm {
  readonly users: Users;
  readonly permissions: Permissions;
  readonly sessions: Sessions;
  readonly logins: LoginGuard;
  readonly globalParameters: GlobalParameters;
  readonly #vhosts = new Map<string, VirtualHost>();
  readonly #services: VirtualHostServices;
  readonly #warm: WarmQueues;
  /** What is played back is not written again. */
  #restoring = false;

  constructor(services: VirtualHostServices, { loopbackOnly, logins }: RealmOptions) {
    const log = services.definitions;
    const definitions: DefinitionsSink = {
      append: (entry) => {
        if (!this.#restoring) log.append(entry);
      },
    };
    this.#warm = new WarmQueues(services.limits.warmQueuesMax, services.turn);
    this.#services = { ...services, definitions, warmQueues: this.#warm };
    this.logins = logins ?? new LoginGuard();
    this.users = new Users(definitions, loopbackOnly);
    this.permissions = new Permissions(definitions, (vhost) => this.#permissionsChanged(vhost));
    this.sessions = new Sessions(this.#vhosts, this.permissions);
    this.globalParameters = new GlobalParameters(definitions);
  }

  // Virtual hosts

  get vhosts(): ReadonlyMap<string, VirtualHost> {
    return this.#vhosts;
  }

  vhost(name: string): VirtualHost {
    const vhost = this.#vhosts.get(name);
    if (vhost === undefined) throw new Refusal("not-found", `vhost '${name}' does not exist`);
    return vhost;
  }

  /** Makes one or changes what is said of it. Returns whether it is new. */
  putVhost(name: string, { metadata, limits }: { metadata?: VhostMetadata; limits?: VhostLimits }): boolean {
    let vhost = this.#vhosts.get(name);
    const isNew = vhost === undefined;
    if (vhost === undefined) {
      checkName(name, "vhost");
      if (this.#vhosts.size >= VHOSTS_MAX) {
        throw new Refusal(
          "precondition-failed",
          `cannot create vhost '${name}': vhost limit of ${VHOSTS_MAX} is reached`,
        );
      }
      vhost = this.#addVhost(name);
    }
    vhost.metadata = metadata ?? vhost.metadata;
    vhost.limits = limits ?? vhost.limits;
    this.#services.definitions.append(vhostEntry(vhost));
    return isNew;
  }

  /** With all that is in it; ends its connections. */
  deleteVhost(name: string): void {
    const vhost = this.vhost(name);
    this.#services.definitions.append({ op: "vhost-delete", name });
    this.#vhosts.delete(name);
    vhost.end();
    this.sessions.expelVhost(vhost);
    this.permissions.forgetVhost(name);
  }

  #addVhost(name: string): VirtualHost {
    const vhost = new VirtualHost(name, this.#services);
    this.#vhosts.set(name, vhost);
    return vhost;
  }

  // Users

  /** With all permissions; ends the user's connections. */
  deleteUser(name: string): void {
    const user = this.users.get(name);
    this.users.delete(name);
    this.permissions.forgetUser(name);
    this.sessions.expelUser(user);
  }

  /** What was allowed or not is looked at anew; publishers compare this number with every message anyway. */
  #permissionsChanged(vhostName: string): void {
    const vhost = this.#vhosts.get(vhostName);
    if (vhost !== undefined) vhost.revision++;
  }

  // Definitions

  /** Builds what the log holds; returns how many bindings lead from or to what is not there. */
  restore(replay: DefinitionsReplay): number {
    this.#restoring = true;
    let loose = 0;
    for (const entry of replay.users()) this.users.restore(entry);
    for (const entry of replay.globalParameters()) this.globalParameters.restore(entry);
    for (const [name, entry] of replay.vhosts()) {
      const vhost = this.#addVhost(name);
      if (entry !== null) restoreVhost(vhost, entry);
      for (const permission of replay.permissionsIn(name)) this.permissions.restore(permission);
      for (const rule of replay.rulesIn(name)) {
        if (rule.op === "parameter") vhost.parameters.restore(rule);
        else vhost.policies.restore(rule);
      }
      loose += replay.restore(vhost);
      vhost.applyPolicies();
    }
    this.#restoring = false;
    return loose;
  }

  /** Of a data directory that knows neither users nor virtual hosts. */
  createDefaults(user: string, password: string): void {
    this.putVhost(DEFAULT_VHOST, {});
    this.users.put(user, { password: hashPassword(password), tags: ["administrator"] });
    this.permissions.put({ user, vhost: DEFAULT_VHOST, configure: ".*", write: ".*", read: ".*" });
  }

  /** All that is to survive a restart, as entries of the definitions log. */
  *entries(): IterableIterator<Entry> {
    yield* this.users.entries();
    yield* this.globalParameters.entries();
    for (const vhost of this.#vhosts.values()) {
      yield vhostEntry(vhost);
      yield* vhost.policies.entries();
      yield* vhost.parameters.entries();
      yield* vhost.entries();
    }
    yield* this.permissions.entries();
  }

  // Housekeeping

  /** Lets queues that were not used since the last call give back their buffers and files. */
  cool(): void {
    this.#warm.keepHouse();
    for (const vhost of this.#vhosts.values()) vhost.cool();
  }

  /** Closes the stores: everything is on disk. */
  close(): void {
    for (const vhost of this.#vhosts.values()) vhost.close();
  }
}

function vhostEntry({ name, metadata, limits }: VirtualHost): Entry {
  return { op: "vhost", name, ...metadata, limits };
}

function restoreVhost(vhost: VirtualHost, entry: Entry): void {
  const { description, tags, defaultQueueType, limits } = entry as unknown as VhostMetadata & { limits: VhostLimits };
  vhost.metadata = { ...NO_METADATA, description, tags, defaultQueueType };
  vhost.limits = limits;
}
