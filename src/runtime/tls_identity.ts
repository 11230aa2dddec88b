// Who a TLS listener says that it is: a certificate with its chain and the key to it, read from files in PEM and checked
// before anybody connects. The key leaves here for the listener alone.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { errorCode } from "./errno.ts";
import { TlsFault } from "./fault.ts";

const TLS_VERSIONS = ["1.2", "1.3"] as const;
export type TlsVersion = typeof TLS_VERSIONS[number];

export interface TlsFiles {
  /** The certificate, and behind it those that lead to one that clients know. */
  readonly certificatePath: string;
  /** "": the key is in the certificate's file. */
  readonly keyPath: string;
  readonly versionMin: TlsVersion;
}

export interface TlsIdentity {
  readonly files: TlsFiles;
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  /** When each certificate of the chain ends and begins to count, milliseconds since 1970; the listener's own is first. */
  readonly validity: readonly { readonly fromMs: number; readonly untilMs: number }[];
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const KEY = /-----BEGIN ((?:RSA |EC |ENCRYPTED )?PRIVATE KEY)-----[\s\S]+?-----END \1-----/;
const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
};

/** Throws a TlsFault that names the file and what is wrong with it. */
export function readTlsIdentity(files: TlsFiles): TlsIdentity {
  const { certificatePath } = files;
  const keyPath = files.keyPath === "" ? certificatePath : files.keyPath;
  const text = read("certificate", certificatePath);
  const chain = (text.match(CERTIFICATE) ?? []).map((block) => certificateOf(block, certificatePath));
  const [own] = chain;
  if (own === undefined) throw new TlsFault(`no certificate in PEM in ${certificatePath}`);
  const key = keyIn(keyPath === certificatePath ? text : read("key", keyPath), keyPath);
  if (!own.checkPrivateKey(key.object)) {
    throw new TlsFault(`the key in ${keyPath} is not that of the first certificate in ${certificatePath}`);
  }
  return {
    files,
    certificate: chain.map(String).join("\n"),
    key: key.text,
    validity: chain.map(({ validFrom, validTo }) => ({ fromMs: Date.parse(validFrom), untilMs: Date.parse(validTo) })),
  };
}

function read(what: string, path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = errorCode(error);
    throw new TlsFault(`cannot read the TLS ${what} ${path}: ${REASONS[code] ?? code}`);
  }
}

function certificateOf(block: string, path: string): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch {
    throw new TlsFault(`a certificate in ${path} is damaged`);
  }
}

function keyIn(text: string, path: string): { readonly text: string; readonly object: KeyObject } {
  const block = KEY.exec(text)?.[0];
  if (block === undefined) throw new TlsFault(`no private key in PEM in ${path}`);
  if (/ENCRYPTED/.test(block)) throw new TlsFault(`the key in ${path} has a password: expected one without`);
  try {
    return { text: block, object: createPrivateKey(block) };
  } catch {
    throw new TlsFault(`the private key in ${path} is damaged`);
  }
}
