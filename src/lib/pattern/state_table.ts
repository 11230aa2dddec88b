// For a pattern that is held against very many texts: which ways are open after what was read, as states that are made when
// a text first comes to them and kept, so that most characters cost one look-up. The time stays bounded as without: what is
// not known yet is found out by following all ways, and of states no more are kept than a limit.

import type { Program } from "./program.ts";

/** States that are kept, of some KiB; beyond it all are forgotten. */
const STATES_MAX = 1_000;
/** Codes of characters whose way is kept. */
const CODES = 128;

/** What stands before: nothing, a letter or digit, or something else. All that a place in a pattern can ask for. */
type Before = "" | "a" | " ";

interface State {
  readonly ways: readonly number[];
  readonly before: Before;
  /** By code of what is read next; null: it matches. */
  readonly after: (State | null | undefined)[];
  matchesAtEnd: boolean | undefined;
}

export class StateTable {
  readonly #program: Program;
  #states = new Map<string, State>();

  /** `program`: one that looks neither ahead nor behind. */
  constructor(program: Program) {
    this.#program = program;
  }

  search(text: string): boolean {
    let state = this.#stateOf([], "");
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      let next = code < CODES ? state.after[code] : undefined;
      if (next === undefined) {
        next = this.#read(state, text[at]!, code);
        if (code < CODES) state.after[code] = next;
      }
      if (next === null) return true;
      state = next;
    }
    return state.matchesAtEnd ??= this.#program.waysFrom(state.ways, state.before, "") === null;
  }

  #read(state: State, character: string, code: number): State | null {
    const open = this.#program.waysFrom(state.ways, state.before, character);
    if (open === null) return null;
    return this.#stateOf(this.#program.waysOver(open, code), this.#program.isWord(code) ? "a" : " ");
  }

  #stateOf(ways: number[], before: Before): State {
    const key = `${before}${ways.sort((a, b) => a - b).join()}`;
    const found = this.#states.get(key);
    if (found !== undefined) return found;
    // Those that are forgotten go when the text that is looked at has left them.
    if (this.#states.size >= STATES_MAX) this.#states = new Map();
    const state: State = { ways, before, after: new Array(CODES).fill(undefined), matchesAtEnd: undefined };
    this.#states.set(key, state);
    return state;
  }
}
