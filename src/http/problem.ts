// What goes wrong with a request, as RabbitMQ words it: a status and `{error, reason}`. The one place where what core/
// refuses becomes a status.

import { Refusal, type RefusalReason } from "../core/refusal.ts";

export class Problem extends Error {
  override readonly name = "Problem";
  readonly status: number;
  /** The short name that clients match on. */
  readonly error: string;

  constructor(status: number, error: string, reason: string) {
    super(reason);
    this.status = status;
    this.error = error;
  }
}

export function badRequest(reason: string): Problem {
  return new Problem(400, "bad_request", reason);
}

export function notFound(): Problem {
  return new Problem(404, "Object Not Found", "Not Found");
}

/** Where something was to be done in a virtual host. */
export function vhostNotFound(): Problem {
  return new Problem(404, "not_found", "vhost_not_found");
}

/** To who has given no password, or a wrong one. RabbitMQ spells the two differently. */
export function notAuthenticated(): Problem {
  return new Problem(401, "not_authorized", "Login failed");
}

/** Of what is somebody's, and of policies. */
export const NOT_YOURS = "User not authorised to access object";

/** RabbitMQ answers 401 also to who is known and may not. */
export function accessRefused(reason = "Access refused."): Problem {
  return new Problem(401, "not_authorised", reason);
}

const REFUSALS: Readonly<Record<RefusalReason, (text: string) => Problem>> = {
  "not-found": () => notFound(),
  "access-refused": () => accessRefused(),
  "precondition-failed": badRequest,
  "resource-locked": badRequest,
  "not-allowed": badRequest,
  "not-implemented": badRequest,
};

/** Whatever a handler threw; null for a fault of ours. */
export function problemOf(error: unknown): Problem | null {
  if (error instanceof Problem) return error;
  return error instanceof Refusal ? REFUSALS[error.reason](error.message) : null;
}
