// Basic authentication: name and password with every request.

import type { User, Users } from "../core/user.ts";
import type { HttpExchange } from "../runtime/http_server.ts";
import { hasAccess } from "./access.ts";
import { accessRefused } from "./problem.ts";
import type { Authenticator } from "./router.ts";

/** Attempts, for those who watch over a broker. */
export interface AuthAttempts {
  attempts: number;
  failed: number;
}

export class BasicAuthenticator implements Authenticator {
  readonly attempts: AuthAttempts = { attempts: 0, failed: 0 };
  readonly #users: Users;

  constructor(users: Users) {
    this.#users = users;
  }

  authenticate({ request, remote }: HttpExchange): User | null {
    const credentials = credentialsOf(request.headers.get("authorization") ?? "");
    if (credentials === null) return null;
    this.attempts.attempts++;
    const user = this.#users.authenticate(credentials.name, credentials.password, remote.host);
    if (user === null) this.attempts.failed++;
    else if (!hasAccess(user, "management")) throw accessRefused("Not management user");
    return user;
  }
}

function credentialsOf(header: string): { name: string; password: string } | null {
  const encoded = /^basic +([A-Za-z0-9+/]+=*) *$/i.exec(header)?.[1];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? null : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}
