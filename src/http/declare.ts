// Who may declare what over HTTP: the same as over AMQP.

import type { ArgumentValue } from "../core/arguments.ts";
import type { ResourceKind, Session } from "../core/identity/session.ts";

/**
 * `target`: where a new one sends messages by itself, which the user has to be allowed to write to. `isThere`: then
 * nothing is made, and it sends nothing anywhere that it did not before.
 */
export function authorizeDeclare(
  session: Session,
  kind: ResourceKind,
  name: string,
  isThere: boolean,
  target: ArgumentValue | undefined,
): void {
  session.authorize("configure", kind, name);
  if (isThere || typeof target !== "string") return;
  session.authorize("read", kind, name);
  session.authorize("write", "exchange", target);
}
