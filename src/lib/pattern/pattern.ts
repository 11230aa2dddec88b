// A regular expression that a user has given, matched in time linear to the text's length whatever it is: for
// permissions, policies, and filters. As with RabbitMQ it may match anywhere unless it has ^ and $.

import { type Budget, look, Program } from "./program.ts";
import { parsePattern } from "./syntax.ts";

export { PatternFault } from "./syntax.ts";

export class Pattern {
  /** As it was given. */
  readonly text: string;
  readonly #program: Program;
  readonly #looks: Budget["looks"];

  /** Throws a PatternFault for what is no regular expression or more than can be matched in linear time. */
  constructor(text: string) {
    const budget: Budget = { steps: 0, looks: [] };
    this.text = text;
    this.#program = new Program(parsePattern(text), false, budget);
    this.#looks = budget.looks;
  }

  /** Whether it matches anywhere in `text`. */
  test(text: string): boolean {
    if (this.#looks.length > 0) look(this.#looks, text);
    return this.#program.search(text);
  }
}

/** `text` as a pattern that matches just that. */
export function escapePattern(text: string): string {
  return text.replace(/[^A-Za-z0-9_]/g, (character) => `\\x{${character.charCodeAt(0).toString(16)}}`);
}
