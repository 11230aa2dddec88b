// Names that people give to users, virtual hosts, policies and parameters.

import { SHORT_STRING_BYTES_MAX } from "../../limits.ts";
import { Refusal } from "../refusal.ts";

const encoder = new TextEncoder();

/** Refuses what cannot be written in a log, an URI or a short string. */
export function checkName(name: string, what: string): void {
  if (name === "") throw new Refusal("precondition-failed", `a ${what} needs a name`);
  if (encoder.encode(name).length > SHORT_STRING_BYTES_MAX) {
    throw new Refusal("precondition-failed", `a ${what}'s name is at most ${SHORT_STRING_BYTES_MAX} bytes long`);
  }
  // deno-lint-ignore no-control-regex
  if (/[\x00-\x1f\x7f]/.test(name)) {
    throw new Refusal("precondition-failed", `a ${what}'s name has no control characters`);
  }
}
