// One open connection of a user to a virtual host, whatever its protocol: the one choke point that every operation passes,
// what it was allowed before, and the end that comes when user or virtual host go.

import { escapePattern, type Pattern } from "../../lib/pattern/pattern.ts";
import type { Exchange } from "../exchange.ts";
import { DELAYED_TYPE } from "../exchanges/delayed.ts";
import { Refusal } from "../refusal.ts";
import type { VirtualHost } from "../virtual_host.ts";
import { type Action, compilePattern, type PermissionRules, type TopicPermission } from "./permissions.ts";
import type { User } from "./users.ts";

export type ResourceKind = "queue" | "exchange";

/** How RabbitMQ's permissions call the exchange without a name. */
const DEFAULT_EXCHANGE = "amq.default";
/** What a session remembers of what it was allowed: names come from clients. */
const REMEMBERED_MAX = 1024;

export interface SessionOptions {
  readonly user: User;
  readonly vhost: VirtualHost;
  /** Of MQTT: what `{client_id}` stands for in topic permissions. */
  readonly clientId?: string | undefined;
  /** The broker ends the connection; `text` is for the client. */
  readonly expel: (text: string) => void;
}

export class Session {
  readonly user: User;
  readonly vhost: VirtualHost;
  readonly expel: (text: string) => void;
  readonly #permissions: PermissionRules;
  readonly #clientId: string;
  readonly #onClose: (session: Session) => void;
  /** Of which revision the rest is. */
  #revision = 0;
  readonly #allowed = new Set<string>();
  readonly #topicPatterns = new Map<string, Pattern>();
  #closed = false;

  constructor(options: SessionOptions, permissions: PermissionRules, onClose: (session: Session) => void) {
    this.user = options.user;
    this.vhost = options.vhost;
    this.expel = options.expel;
    this.#clientId = options.clientId ?? "";
    this.#permissions = permissions;
    this.#onClose = onClose;
  }

  /** Refuses what the user may not do with a queue or an exchange of this name. */
  authorize(action: Action, kind: ResourceKind, name: string): void {
    if (!this.allows(action, kind, name)) this.#refuse(action, kind, name);
  }

  /** For a passive declare: whoever may do anything with it may ask whether it is there. */
  authorizeAny(kind: ResourceKind, name: string): void {
    const allowed = this.allows("read", kind, name) || this.allows("write", kind, name);
    if (!allowed) this.authorize("configure", kind, name);
  }

  /** Refuses a routing key of a topic exchange that the user may not publish to (write) or bind with (read). */
  authorizeTopic(action: "write" | "read", exchange: Exchange, routingKey: string): void {
    if (!isTopic(exchange) || this.#allowsTopic(action, exchange.name, routingKey)) return;
    throw new Refusal(
      "access-refused",
      `${action} access to topic '${routingKey}' in exchange '${exchange.name}' in vhost '${this.vhost.name}' ` +
        `refused for user '${this.user.name}'`,
    );
  }

  /** The same as a question. */
  allows(action: Action, kind: ResourceKind, name: string): boolean {
    this.#renew();
    const known = name === "" && kind === "exchange" ? DEFAULT_EXCHANGE : name;
    const key = `${action}\0${known}`;
    if (this.#allowed.has(key)) return true;
    if (!this.#permissions.allows(this.user.name, this.vhost.name, action, known)) return false;
    if (this.#allowed.size >= REMEMBERED_MAX) this.#allowed.clear();
    this.#allowed.add(key);
    return true;
  }

  #allowsTopic(action: "write" | "read", exchange: string, routingKey: string): boolean {
    this.#renew();
    const rule = this.#permissions.topicRule(this.user.name, this.vhost.name, exchange);
    return rule === null || this.#topicPattern(action, rule).test(routingKey);
  }

  #topicPattern(action: "write" | "read", rule: TopicPermission): Pattern {
    const key = `${action}\0${rule.exchange}`;
    let pattern = this.#topicPatterns.get(key);
    if (pattern === undefined) {
      pattern = compilePattern(`${action} permission`, this.#expand(rule[action]));
      this.#topicPatterns.set(key, pattern);
    }
    return pattern;
  }

  #expand(text: string): string {
    const values: Readonly<Record<string, string>> = {
      username: this.user.name,
      vhost: this.vhost.name,
      client_id: this.#clientId,
    };
    return text.replace(/\{(username|vhost|client_id)\}/g, (_, name: string) => escapePattern(values[name]!));
  }

  #renew(): void {
    if (this.#revision === this.#permissions.revision) return;
    this.#revision = this.#permissions.revision;
    this.#allowed.clear();
    this.#topicPatterns.clear();
  }

  #refuse(action: Action, kind: ResourceKind, name: string): never {
    const { vhost, user } = this;
    const known = name === "" && kind === "exchange" ? DEFAULT_EXCHANGE : name;
    const what = kind === "queue" ? vhost.queueText(known) : vhost.exchangeText(known);
    throw new Refusal("access-refused", `${action} access to ${what} refused for user '${user.name}'`);
  }

  // Limits

  /** Refuses one channel more than the user may have. */
  openChannel(): void {
    const { name, limits, channelCount } = this.user;
    const { maxChannels } = limits;
    if (maxChannels !== undefined && channelCount >= maxChannels) {
      throw new Refusal(
        "not-allowed",
        `number of channels opened for user '${name}' has reached the maximum allowed user limit of (${maxChannels})`,
      );
    }
    this.user.channelCount++;
  }

  closeChannel(): void {
    this.user.channelCount--;
  }

  /** The connection has ended. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#onClose(this);
  }
}

/** Also one that holds messages back before it routes by topic. */
function isTopic({ type, args }: Exchange): boolean {
  return type === "topic" || (type === DELAYED_TYPE && args.get("x-delayed-type") === "topic");
}
