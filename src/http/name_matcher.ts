// Whether a name is one of those that a list is asked for: has a text in it, or matches a pattern, in linear time.

import { Pattern, PatternFault } from "../lib/pattern/pattern.ts";
import { badRequest } from "./problem.ts";

export function nameMatcher(text: string, isPattern: boolean): (name: string) => boolean {
  if (!isPattern) {
    const wanted = text.toLowerCase();
    return (name) => name.toLowerCase().includes(wanted);
  }
  try {
    const pattern = new Pattern(text, true);
    return (name) => pattern.test(name);
  } catch (error) {
    if (!(error instanceof PatternFault)) throw error;
    throw badRequest(`name is no regular expression that can be used: ${error.message}`);
  }
}
