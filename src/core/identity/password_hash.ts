// Passwords as RabbitMQ keeps them, so that definitions travel both ways: base64 of a salt of 4 bytes and the digest of
// salt and password. An empty hash is that of a user who cannot log in with a password.

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { Refusal } from "../refusal.ts";

const ALGORITHMS = {
  rabbit_password_hashing_sha256: "sha256",
  rabbit_password_hashing_sha512: "sha512",
  /** Of users that old definitions bring; never for a new password. */
  rabbit_password_hashing_md5: "md5",
} as const;

export type HashingAlgorithm = keyof typeof ALGORITHMS;
export const HASHING_ALGORITHMS = Object.keys(ALGORITHMS) as readonly HashingAlgorithm[];
export const DEFAULT_ALGORITHM: HashingAlgorithm = "rabbit_password_hashing_sha256";

export interface PasswordHash {
  readonly algorithm: HashingAlgorithm;
  /** Base64; "" for nobody's password. */
  readonly hash: string;
}

export const NO_PASSWORD: PasswordHash = { algorithm: DEFAULT_ALGORITHM, hash: "" };

const SALT_BYTES = 4;
/** A client may not make us hash more than this, characters. */
const PASSWORD_LENGTH_MAX = 4096;

/** Refuses a blank password. */
export function hashPassword(password: string, algorithm: HashingAlgorithm = DEFAULT_ALGORITHM): PasswordHash {
  if (password === "") throw new Refusal("precondition-failed", "a blank password is not allowed");
  if (password.length > PASSWORD_LENGTH_MAX) {
    throw new Refusal("precondition-failed", `a password is at most ${PASSWORD_LENGTH_MAX} characters long`);
  }
  const salt = randomBytes(SALT_BYTES);
  return { algorithm, hash: Buffer.concat([salt, digestOf(password, salt, algorithm)]).toString("base64") };
}

/** A hash that somebody brings. Refuses what is not base64. */
export function givenHash(hash: string, algorithm: HashingAlgorithm): PasswordHash {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(hash)) {
    throw new Refusal("precondition-failed", "password_hash is not base64");
  }
  return { algorithm, hash };
}

/** Takes the same time for a hash that nothing matches, so that nobody learns which users there are. */
export function verifyPassword(password: string, { algorithm, hash }: PasswordHash): boolean {
  const stored = Buffer.from(hash, "base64");
  const salt = Buffer.alloc(SALT_BYTES);
  salt.set(stored.subarray(0, SALT_BYTES));
  const digest = digestOf(password.slice(0, PASSWORD_LENGTH_MAX + 1), salt, algorithm);
  const expected = Buffer.alloc(digest.length);
  expected.set(stored.subarray(SALT_BYTES, SALT_BYTES + digest.length));
  const matches = timingSafeEqual(digest, expected);
  return matches && stored.length === SALT_BYTES + digest.length && password !== "";
}

function digestOf(password: string, salt: Uint8Array, algorithm: HashingAlgorithm): Buffer {
  return createHash(ALGORITHMS[algorithm]).update(salt).update(password, "utf8").digest();
}
