// Network addresses as people give and read them.

import { errorCode } from "./errno.ts";

/** Why an address cannot be had, in words; the error's own message where we know none better. */
export function addressReason(error: unknown): string {
  const known: Record<string, string> = {
    EADDRINUSE: "address already in use",
    EADDRNOTAVAIL: "address not available",
    EACCES: "permission denied",
    EPERM: "permission denied",
    ECONNREFUSED: "connection refused",
    ECONNRESET: "connection reset",
    ETIMEDOUT: "timed out",
    EHOSTUNREACH: "host unreachable",
    ENETUNREACH: "network unreachable",
    ENOTFOUND: "host not found",
    EAFNOSUPPORT: "address family not supported",
  };
  return known[errorCode(error)] ?? (error instanceof Error ? error.message : String(error));
}

/** `host:port`, with brackets where the host is an IPv6 address. */
export function addressText(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * The one IP address to listen on for `host`, IPv4 if it has one: left to themselves, Bun tells the name as what was bound
 * and Deno tries all its addresses and fails on the second.
 */
export async function resolveHost(host: string): Promise<string> {
  if (host.includes(":") || /^\d+(\.\d+){3}$/.test(host)) return host;
  // Loaded only when it is needed: it would be part of every start.
  const { lookup } = await import("node:dns/promises");
  return (await lookup(host, { order: "ipv4first" })).address;
}
