// A regular expression that a user has given, matched in time linear to the text's length whatever it is: for
// permissions, policies, and filters. As with RabbitMQ it may match anywhere unless it has ^ and $.

import { type Budget, look, Program } from "./program.ts";
import { StateTable } from "./state_table.ts";
import { parsePattern } from "./syntax.ts";

export { PatternFault } from "./syntax.ts";

export class Pattern {
  /** As it was given. */
  readonly text: string;
  readonly #program: Program;
  readonly #looks: Budget["looks"];
  readonly #table: StateTable | null;

  /**
   * Throws a PatternFault for what is no regular expression or more than can be matched in linear time. `forMany`: it is
   * held against very many texts, and what is found out about it is kept for the next one.
   */
  constructor(text: string, forMany = false) {
    const budget: Budget = { steps: 0, looks: [] };
    this.text = text;
    this.#program = new Program(parsePattern(text), false, budget);
    this.#looks = budget.looks;
    this.#table = forMany && budget.looks.length === 0 ? new StateTable(this.#program) : null;
  }

  /** Whether it matches anywhere in `text`. */
  test(text: string): boolean {
    if (this.#table !== null) return this.#table.search(text);
    if (this.#looks.length > 0) look(this.#looks, text);
    return this.#program.search(text);
  }
}

/** `text` as a pattern that matches just that. */
export function escapePattern(text: string): string {
  return text.replace(/[^A-Za-z0-9_]/g, (character) => `\\x{${character.charCodeAt(0).toString(16)}}`);
}
