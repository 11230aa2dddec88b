// Where the broker's HTTP API is: an http:// URI, whose password never leaves here but in requests; or the socket in the
// data directory of a broker on this machine, which needs none.

import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { defaultDataDir } from "../config/data_dir.ts";
import { OPTIONS } from "../config/options.ts";
import { usageFault } from "./fault.ts";

export const URI_VARIABLE = "LEVERET_CTL_URI";
export const URI_DEFAULT = "http://guest:guest@127.0.0.1:15672";
const PORT_DEFAULT = 15672;
const SOCKET = "http.sock";

export interface Place {
  /** Null where it is an address. Then host and port are this machine's, for what goes over AMQP. */
  readonly socketPath: string | null;
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
export function placeOf(flags: { readonly uri?: string; readonly dataDir?: string }, environment: Environment): Place {
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

/** `http://user:password@host:port/prefix`; what is left out is guest, guest, 15672 and no prefix. */
export function placeOfUri(uri: string): Place {
  let url: URL;
  try {
    url = new URL(uri);
  } catch {
    // What cannot be read may hold the password anywhere.
    throw usageFault("the URI cannot be read: expected http://user:password@host:port");
  }
  if (url.protocol !== "http:") throw usageFault(`expected a URI that begins with http://, found ${url.protocol}//`);
  const user = url.username === "" ? "guest" : decoded(url.username);
  const password = url.username === "" && url.password === "" ? "guest" : decoded(url.password);
  // URL takes http's own port 80 for none.
  const port = url.port !== "" ? Number(url.port) : /:80(?:\/|$)/.test(uri) ? 80 : PORT_DEFAULT;
  return {
    socketPath: null,
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port,
    prefix: url.pathname.replace(/\/+$/, ""),
    user,
    password,
    text: `http://${url.hostname}:${port}`,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw usageFault("user or password of the URI is not percent-encoded correctly");
  }
}
