// Requests that a browser sends because a page of somebody else's made it: it would add the password that it knows. Who
// is no browser does not say where a request comes from, and is let through.

import { Problem } from "./problem.ts";

const SAFE_METHODS: readonly string[] = ["GET", "HEAD", "OPTIONS"];

/** Refuses what changes something and comes from another site. */
export function expectOwnOrigin({ method, headers }: Request): void {
  if (SAFE_METHODS.includes(method)) return;
  const site = headers.get("sec-fetch-site");
  const origin = headers.get("origin");
  const isForeign = site !== null
    ? site !== "same-origin" && site !== "none"
    : origin !== null && hostOf(origin) !== headers.get("host");
  if (isForeign) throw new Problem(403, "forbidden", "a page of another site may not change anything here");
}

/** Null for an origin that is none: `null`, or nonsense. */
function hostOf(origin: string): string | null {
  try {
    return new URL(origin).host;
  } catch {
    return null;
  }
}
