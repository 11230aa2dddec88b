// Who may ask for what: the tags that RabbitMQ's management asks for.

import type { User } from "../core/user.ts";
import { accessRefused } from "./problem.ts";

/**
 * What a user must be called. "management": anything of the following; "monitoring": sees everything; "policymaker"; and
 * "administrator", which is all of them.
 */
export type Access = "management" | "monitoring" | "policymaker" | "administrator";

const TAGS: Readonly<Record<Access, readonly string[]>> = {
  management: ["management", "policymaker", "monitoring", "administrator"],
  monitoring: ["monitoring", "administrator"],
  policymaker: ["policymaker", "administrator"],
  administrator: ["administrator"],
};

export function hasAccess(user: User, access: Access): boolean {
  return TAGS[access].some((tag) => user.tags.has(tag));
}

export function checkAccess(user: User, access: Access): void {
  if (!hasAccess(user, access)) throw accessRefused(`User not ${access}`);
}
