// Health checks, with RabbitMQ's names and answers: 200 when all is well, 503 and the reason when not.

import { z } from "@hono/zod-openapi";
import type { HttpServices } from "./services.ts";
import { json } from "./json.ts";
import { badRequest, notFound } from "./problem.ts";
import type { Router } from "./router.ts";
import { healthAnswer } from "./schemas.ts";

const TAG = "Health";
/** Names by which protocols are asked for. */
const PROTOCOLS: Readonly<Record<string, readonly string[]>> = {
  amqp: ["amqp", "amqp091", "amqp0.9.1"],
  mqtt: ["mqtt"],
  http: ["http"],
  https: ["https"],
  metrics: ["http/prometheus", "prometheus"],
};
/** Milliseconds. */
const DAY_MS = 86_400_000;
const UNITS: Readonly<Record<string, number>> = {
  days: DAY_MS,
  weeks: 7 * DAY_MS,
  months: 365 / 12 * DAY_MS,
  years: 365 * DAY_MS,
};
const STATUSES = [200, 503];
const damages = z.array(
  z.object({
    kind: z.string(),
    path: z.string(),
    offset: z.number(),
    bytes: z.number(),
    detail: z.string(),
    /** Milliseconds since 1970. */
    found_at: z.number(),
  }),
);

export function addHealth(router: Router, services: HttpServices): void {
  const { alarms, damage, listeners, product } = services;
  const check = <Path extends `/api/health/checks/${string}`>(
    path: Path,
    summary: string,
    judge: (params: Readonly<Record<string, string>>) => object | null,
    fine: (params: Readonly<Record<string, string>>) => object = () => ({}),
  ): void => {
    router.add("get", path, { summary, tag: TAG, answer: healthAnswer, statuses: STATUSES }, ({ params }) => {
      const wrong = judge(params);
      return wrong === null ? { status: "ok", ...fine(params) } : json({ status: "failed", ...wrong }, 503);
    });
  };
  const alarm = () => {
    if (!alarms.active) return null;
    const raised = alarms.raised.map((resource) => ({ node: product.node, resource }));
    return { reason: "There are alarms in effect in the cluster", alarms: raised };
  };
  check("/api/health/checks/alarms", "No alarm holds", alarm);
  check("/api/health/checks/local-alarms", "No alarm holds on this node", alarm);
  // What there was before the others.
  for (const path of ["/api/healthchecks/node", "/api/healthchecks/node/{node}"] as const) {
    router.add(
      "get",
      path,
      { summary: "No alarm holds on this node", tag: TAG, answer: healthAnswer },
      ({ params }) => {
        const { node = product.node } = params as { node?: string };
        if (node !== product.node) throw notFound();
        const wrong = alarm();
        return wrong === null ? { status: "ok" } : { status: "failed", reason: wrong.reason };
      },
    );
  }
  // Not RabbitMQ's: it stops no publisher, so it is no alarm.
  check("/api/health/checks/damage", "Nothing was found damaged since the broker started", () => {
    const { count, bytes } = damage;
    return count === 0 ? null : { reason: "Damaged files were found, see /api/damage", count, bytes };
  });
  router.add(
    "get",
    "/api/damage",
    {
      summary: "What was found damaged since the broker started, the latest 1,000",
      tag: TAG,
      access: "administrator",
      answer: damages,
    },
    () =>
      damage.entries.map(({ kind, path, offset, bytes, detail, foundMs }) => ({
        kind,
        path,
        offset,
        bytes,
        detail,
        found_at: foundMs,
      })),
  );
  check("/api/health/checks/port-listener/{port}", "Something listens on a port", ({ port }) => {
    const wanted = portOf(port!);
    const ports = listeners().map((listener) => listener.port);
    return ports.includes(wanted) ? null : { reason: "No active listener", missing: wanted, ports };
  }, ({ port }) => ({ port: Number(port) }));
  check("/api/health/checks/protocol-listener/{protocol}", "A protocol is listened for", ({ protocol }) => {
    const there = listeners().map((listener) => listener.protocol);
    const isThere = there.some((name) => (PROTOCOLS[name] ?? [name]).includes(protocol!.toLowerCase()));
    return isThere ? null : { reason: "No active listener", missing: protocol, protocols: there };
  }, ({ protocol }) => ({ protocol }));
  check("/api/health/checks/virtual-hosts", "All virtual hosts run", () => null);
  check(
    "/api/health/checks/node-is-quorum-critical",
    "Queues live on when this node stops",
    () => null,
    () => ({ reason: "single node cluster" }),
  );
  check("/api/health/checks/node-is-mirror-sync-critical", "Queues live on when this node stops", () => null, () => ({
    reason: "single node cluster",
  }));
  check("/api/health/checks/ready-to-serve-clients", "Clients are served", () => {
    return listeners().some(({ protocol }) => protocol === "amqp") ? null : { reason: "No listener for AMQP" };
  });
  check("/api/health/checks/is-in-service", "Clients are served", () => null);
  check("/api/health/checks/below-node-connection-limit", "More connections may come", () => null);
  check(
    "/api/health/checks/certificate-expiration/{within}/{unit}",
    "No certificate expires within a time",
    ({ within, unit }) => {
      const expired = expiring(services, msOf(within!, unit!));
      return expired.length === 0 ? null : { reason: "Certificates expiring", expired };
    },
  );
}

/** Listeners whose certificate, or one of those behind it, counts no longer after `withinMs`, or not yet. */
function expiring({ certificate, listeners, product }: HttpServices, withinMs: number): object[] {
  const identity = certificate();
  if (identity === null) return [];
  const nowMs = Date.now();
  const bad = identity.validity.filter(({ fromMs, untilMs }) => untilMs < nowMs + withinMs || fromMs > nowMs);
  if (bad.length === 0) return [];
  return listeners().filter(({ protocol }) => protocol === "https").map(({ protocol, host, port }) => ({
    node: product.node,
    protocol,
    interface: host,
    port,
    certfile: identity.files.certificatePath,
    certfile_expires_on: bad.map(({ fromMs, untilMs }) => {
      return fromMs > nowMs
        ? "Certificate is not yet valid"
        : new Date(untilMs).toISOString().slice(0, 19).replace("T", " ");
    }),
    cacertfile: "",
    cacertfile_expires_on: [],
  }));
}

function msOf(within: string, unit: string): number {
  if (!/^\d{1,6}$/.test(within)) throw badRequest("Invalid expiration value.");
  const ms = Object.hasOwn(UNITS, unit.toLowerCase()) ? UNITS[unit.toLowerCase()] : undefined;
  if (ms === undefined) throw badRequest("Time unit not recognised. Supported units: days, weeks, months, years.");
  return Number(within) * ms;
}

function portOf(text: string): number {
  if (!/^\d{1,5}$/.test(text)) throw badRequest(`expected a port, found '${text}'`);
  return Number(text);
}
