// Where the broker's HTTP API is: an http:// URI. Its password never leaves here but in requests.

import { usageFault } from "./fault.ts";

export const URI_VARIABLE = "LEVERET_CTL_URI";
export const URI_DEFAULT = "http://guest:guest@127.0.0.1:15672";
const PORT_DEFAULT = 15672;

export interface Place {
  readonly host: string;
  readonly port: number;
  /** What stands in front of `/api/`: a proxy's path, mostly "". */
  readonly prefix: string;
  readonly user: string;
  readonly password: string;
  /** For people, without the password. */
  readonly text: string;
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
