// Basic authentication: name and password with every request.

import type { Management } from "../core/management/management.ts";
import { NO_PASSWORD } from "../core/identity/password_hash.ts";
import { User } from "../core/identity/users.ts";
import type { HttpExchange } from "../runtime/http_exchange.ts";
import { Caller, LocalCaller } from "./access.ts";
import type { Authenticator } from "./router.ts";

/** Where those are who come over a Unix socket. */
const LOOPBACK = "127.0.0.1";

/** Attempts, for those who watch over a broker. */
export interface AuthAttempts {
  attempts: number;
  failed: number;
}

export class BasicAuthenticator implements Authenticator {
  readonly attempts: AuthAttempts = { attempts: 0, failed: 0 };
  readonly nobody: Caller;
  readonly #management: Management;

  constructor(management: Management) {
    this.#management = management;
    this.nobody = new Caller(new User("", NO_PASSWORD, [], {}), management.realm);
  }

  async authenticate({ request, remote, viaSocket }: HttpExchange): Promise<Caller | null> {
    if (viaSocket && !request.headers.has("authorization")) return new LocalCaller(this.#management.realm);
    const host = viaSocket ? LOOPBACK : remote.host;
    const credentials = credentialsOf(request.headers.get("authorization") ?? "");
    if (credentials === null) return null;
    this.attempts.attempts++;
    const user = await this.#management.logIn(credentials.name, credentials.password, host);
    if (user === null) this.attempts.failed++;
    return user === null ? null : new Caller(user, this.#management.realm);
  }
}

function credentialsOf(header: string): { name: string; password: string } | null {
  const encoded = /^basic +([A-Za-z0-9+/]+=*) *$/i.exec(header)?.[1];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? null : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}
