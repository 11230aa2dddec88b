// Where the broker's HTTP API is: an http:// or https:// URI, whose password never leaves here but in requests; or the socket in the
// data directory of a broker on this machine, which needs none.

import { accessSync, constants, readFileSync } from "node:fs";
import { join } from "node:path";
import { defaultDataDir } from "../config/data_dir.ts";
import { OPTIONS } from "../config/options.ts";
import { CtlFault, usageFault } from "./fault.ts";
import { quoted } from "./text.ts";

export const URI_VARIABLE = "LEVERET_CTL_URI";
export const URI_DEFAULT = "http://guest:guest@127.0.0.1:15672";
/** Where the certificates are that a broker's is held against, when no flag says so. */
const CA_VARIABLE = "LEVERET_CTL_TLS_CA_CERT_FILE";
/** What belongs to the schemes: the port of ours, and that which an URL leaves out. */
const SCHEMES: Readonly<Record<string, readonly [port: number, implied: number]>> = {
  "http:": [15672, 80],
  "https:": [15671, 443],
};
const SOCKET = "http.sock";

export interface Place {
  /** Null where it is an address. Then host and port are this machine's, for what goes over AMQP. */
  readonly socketPath: string | null;
  readonly secure: boolean;
  /** Certificates in PEM that the broker's is held against; null for those that the system trusts. */
  readonly trusted: string | null;
  readonly host: string;
  readonly port: number;
  /** What stands in front of `/api/`: a proxy's path, mostly "". */
  readonly prefix: string;
  readonly user: string;
  readonly password: string;
  /** For people, without the password. */
  readonly text: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Where the flags say; else where the environment says; else the socket of a broker of this user's, where there is one;
 * else where a broker listens when nobody says otherwise.
 */
export function placeOf(flags: PlaceFlags, environment: Environment): Place {
  const place = unsecuredPlace(flags, environment);
  const path = flags.tlsCaCertFile ?? environment[CA_VARIABLE];
  if (path === undefined) return place;
  // A flag that did nothing would be worse than one that is refused.
  if (!place.secure && flags.tlsCaCertFile !== undefined) {
    throw usageFault("--tls-ca-cert-file is for URIs that begin with https://");
  }
  return place.secure ? { ...place, trusted: certificatesIn(path) } : place;
}

function certificatesIn(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new CtlFault(`cannot read ${quoted(path)}: ${(error as Error).message}`);
  }
  if (!text.includes("-----BEGIN CERTIFICATE-----")) throw new CtlFault(`no certificate in PEM in ${quoted(path)}`);
  return text;
}

export interface PlaceFlags {
  readonly uri?: string;
  readonly dataDir?: string;
  readonly tlsCaCertFile?: string;
}

function unsecuredPlace(flags: PlaceFlags, environment: Environment): Place {
  if (flags.uri !== undefined) return placeOfUri(flags.uri);
  if (flags.dataDir !== undefined) return placeOfSocket(join(flags.dataDir, SOCKET));
  const uri = environment[URI_VARIABLE];
  if (uri !== undefined) return placeOfUri(uri);
  const path = join(environment[OPTIONS.dataDir.environment] ?? defaultDataDir(environment), SOCKET);
  return mayOpen(path) ? placeOfSocket(path) : placeOfUri(URI_DEFAULT);
}

function mayOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function placeOfSocket(path: string): Place {
  return { ...placeOfUri(URI_DEFAULT), socketPath: path, text: path };
}

/** `http://user:password@host:port/prefix`, or `https:`; what is left out is guest, guest, 15672 or 15671, and no prefix. */
export function placeOfUri(uri: string): Place {
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    // What cannot be read may hold the password anywhere.
    throw usageFault("the URI cannot be read: expected http://user:password@host:port");
  }
  const scheme = Object.hasOwn(SCHEMES, url.protocol) ? SCHEMES[url.protocol] : undefined;
  if (scheme === undefined) {
    throw usageFault(`expected a URI that begins with http:// or https://, found ${url.protocol}//`);
  }
  const user = url.username === "" ? "guest" : decoded(url.username);
  const password = url.username === "" && url.password === "" ? "guest" : decoded(url.password);
  // URL takes a scheme's own port for none.
  const [portDefault, implied] = scheme;
  const port = url.port !== "" ? Number(url.port) : new RegExp(`:${implied}(?:/|$)`).test(uri) ? implied : portDefault;
  return {
    socketPath: null,
    secure: url.protocol === "https:",
    trusted: null,
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port,
    prefix: url.pathname.replace(/\/+$/, ""),
    user,
    password,
    text: `${url.protocol}//${url.hostname}:${port}`,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw usageFault("user or password of the URI is not percent-encoded correctly");
  }
}
