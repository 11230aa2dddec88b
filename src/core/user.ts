// Who may connect: users with hashed passwords, and the rule that a loopback-only user comes from this machine.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

export interface User {
  readonly name: string;
  /** May connect only from this machine. */
  readonly loopbackOnly: boolean;
  /** What it may do beyond its permissions, RabbitMQ's names: "administrator", "impersonator", ... */
  readonly tags: ReadonlySet<string>;
}

interface StoredUser extends User {
  /** base64(salt of 4 bytes + SHA-256(salt + password in UTF-8)), as RabbitMQ keeps it. */
  readonly passwordHash: string;
}

const SALT_BYTES = 4;

export class Users {
  readonly #users = new Map<string, StoredUser>();

  add(name: string, password: string, loopbackOnly: boolean, tags: readonly string[] = []): void {
    const passwordHash = hashPassword(password, randomBytes(SALT_BYTES));
    this.#users.set(name, { name, loopbackOnly, passwordHash, tags: new Set(tags) });
  }

  /** The user, if name, password and the peer's address allow it; null otherwise, whatever the reason. */
  authenticate(name: string, password: string, remoteHost: string): User | null {
    const user = this.#users.get(name);
    const salt = user === undefined ? Buffer.alloc(SALT_BYTES) : Buffer.from(user.passwordHash, "base64");
    // An unknown name costs the same as a wrong password.
    const hash = Buffer.from(hashPassword(password, salt.subarray(0, SALT_BYTES)));
    const expected = Buffer.from(user?.passwordHash ?? "".padEnd(hash.length, "="));
    if (!timingSafeEqual(hash, expected) || user === undefined || password === "") return null;
    return user.loopbackOnly && !isLoopback(remoteHost) ? null : user;
  }
}

function hashPassword(password: string, salt: Uint8Array): string {
  const digest = createHash("sha256").update(salt).update(password, "utf8").digest();
  return Buffer.concat([salt, digest]).toString("base64");
}

/** Whether an address is this machine's own, IPv4 written as IPv6 included. */
export function isLoopback(host: string): boolean {
  const plain = host.toLowerCase().replace(/^::ffff:/, "");
  return plain === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(plain);
}
