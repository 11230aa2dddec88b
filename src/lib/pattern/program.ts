// A pattern as a small program, and its run: all ways through it are followed side by side, one character at a time, so
// the time is bounded by the length of the text times that of the program, whatever both are (Thompson's construction).
// What looks ahead or behind is a program of its own. It runs once over the whole text and notes at which places it
// holds: one that looks ahead is built backwards, and runs from the end to the start.

import type { CharSet } from "./char_set.ts";
import { isWordCharacter } from "./char_set.ts";
import { type Node, PatternFault, type Place } from "./syntax.ts";

/** Steps of one pattern, all programs together. */
const STEPS_MAX = 8192;

type Step =
  | { readonly kind: "char"; readonly set: CharSet }
  | { readonly kind: "place"; readonly place: Place }
  | { readonly kind: "look"; readonly look: Look }
  | { readonly kind: "fork"; readonly first: number; readonly second: number }
  | { readonly kind: "match" };

interface Look {
  readonly program: Program;
  readonly isNegative: boolean;
  /** Of this run: whether it holds before the character with this index. */
  holds: Uint8Array;
}

/** What one compilation shares between its programs. */
export interface Budget {
  steps: number;
  /** Inner ones before those around them. */
  readonly looks: Look[];
}

export class Program {
  readonly #steps: Step[] = [];
  readonly #backwards: boolean;
  readonly #budget: Budget;
  /** The run's own: where the ways are, and which step was last reached at which place. */
  #ways: number[] = [];
  #next: number[] = [];
  #reached: Int32Array | null = null;
  #round = 0;

  constructor(node: Node, backwards: boolean, budget: Budget) {
    this.#backwards = backwards;
    this.#budget = budget;
    this.#emit(node);
    this.#push({ kind: "match" });
  }

  /** Whether it holds anywhere in `text`. */
  search(text: string): boolean {
    return this.#run(text, null);
  }

  /** Notes every place at which it ends: looking ahead, where it begins. */
  mark(text: string): Uint8Array {
    const places = new Uint8Array(text.length + 1);
    this.#run(text, places);
    return places;
  }

  #run(text: string, places: Uint8Array | null): boolean {
    this.#reached ??= new Int32Array(this.#steps.length);
    this.#ways.length = 0;
    const { length } = text;
    for (let read = 0; read <= length; read++) {
      const at = this.#backwards ? length - read : read;
      this.#round++;
      // It may begin here.
      const next = this.#next;
      next.length = 0;
      let matched = false;
      for (const way of this.#ways) if (this.#follow(way, text, at, next)) matched = true;
      if (this.#follow(0, text, at, next)) matched = true;
      if (matched && places === null) return true;
      if (matched) places![at] = 1;
      if (read === length) break;
      const code = text.charCodeAt(this.#backwards ? at - 1 : at);
      const ways = this.#ways;
      ways.length = 0;
      for (const step of next) {
        if ((this.#steps[step] as { set: CharSet }).set.has(code)) ways.push(step + 1);
      }
    }
    return false;
  }

  // For a table of states, of a program that looks neither ahead nor behind.

  /**
   * Which characters `ways`, and one that begins here, may read next, between `before` and `after`, of which each may be
   * nothing; null when one of them has come to the end.
   */
  waysFrom(ways: readonly number[], before: string, after: string): number[] | null {
    this.#reached ??= new Int32Array(this.#steps.length);
    this.#round++;
    const text = before + after;
    const next: number[] = [];
    let matched = this.#follow(0, text, before.length, next);
    for (const way of ways) if (this.#follow(way, text, before.length, next)) matched = true;
    return matched ? null : next;
  }

  /** Where those of them stand that may read this one. */
  waysOver(open: readonly number[], code: number): number[] {
    return open.filter((step) => (this.#steps[step] as { set: CharSet }).set.has(code)).map((step) => step + 1);
  }

  isWord(code: number): boolean {
    return isWordCharacter(code);
  }

  /** Puts the characters that a way may read next into `next`; true when it has come to the end. */
  #follow(from: number, text: string, at: number, next: number[]): boolean {
    const [steps, reached, round] = [this.#steps, this.#reached!, this.#round];
    let matched = false;
    const open = [from];
    while (open.length > 0) {
      const index = open.pop()!;
      if (reached[index] === round) continue;
      reached[index] = round;
      const step = steps[index]!;
      switch (step.kind) {
        case "char":
          next.push(index);
          break;
        case "match":
          matched = true;
          break;
        case "place":
          if (isPlace(step.place, text, at)) open.push(index + 1);
          break;
        case "look":
          if ((step.look.holds[at] === 1) !== step.look.isNegative) open.push(index + 1);
          break;
        case "fork":
          open.push(step.second, step.first);
      }
    }
    return matched;
  }

  #emit(node: Node): void {
    switch (node.kind) {
      case "char":
        return void this.#push({ kind: "char", set: node.set });
      case "place":
        return void this.#push({ kind: "place", place: node.place });
      case "sequence":
        for (const item of this.#backwards ? [...node.items].reverse() : node.items) this.#emit(item);
        return;
      case "choice":
        return this.#emitChoice(node.options);
      case "repeat":
        return this.#emitRepeat(node.item, node.min, node.max);
      case "look": {
        const program = new Program(node.item, node.isAhead, this.#budget);
        const look: Look = { program, isNegative: node.isNegative, holds: new Uint8Array(0) };
        this.#budget.looks.push(look);
        this.#push({ kind: "look", look });
      }
    }
  }

  #emitChoice(options: readonly Node[]): void {
    const ends: number[] = [];
    for (const [index, option] of options.entries()) {
      const isLast = index === options.length - 1;
      const fork = isLast ? -1 : this.#push({ kind: "match" });
      this.#emit(option);
      if (isLast) break;
      ends.push(this.#push({ kind: "match" }));
      this.#steps[fork] = { kind: "fork", first: fork + 1, second: this.#steps.length };
    }
    const end = this.#steps.length;
    for (const index of ends) this.#steps[index] = { kind: "fork", first: end, second: end };
  }

  #emitRepeat(item: Node, min: number, max: number): void {
    for (let i = 0; i < min; i++) this.#emit(item);
    if (max === Infinity) {
      const fork = this.#push({ kind: "match" });
      this.#emit(item);
      this.#push({ kind: "fork", first: fork, second: fork });
      this.#steps[fork] = { kind: "fork", first: fork + 1, second: this.#steps.length };
      return;
    }
    const forks: number[] = [];
    for (let i = min; i < max; i++) {
      forks.push(this.#push({ kind: "match" }));
      this.#emit(item);
    }
    for (const fork of forks) this.#steps[fork] = { kind: "fork", first: fork + 1, second: this.#steps.length };
  }

  /** Returns where it stands. */
  #push(step: Step): number {
    if (++this.#budget.steps > STEPS_MAX) throw new PatternFault(`it comes to more than ${STEPS_MAX} steps`);
    return this.#steps.push(step) - 1;
  }
}

/** Runs what looks ahead and behind, for a run to come over `text`. */
export function look(looks: readonly Look[], text: string): void {
  for (const one of looks) one.holds = one.program.mark(text);
}

function isPlace(place: Place, text: string, at: number): boolean {
  switch (place) {
    case "start":
      return at === 0;
    case "end":
      return at === text.length;
  }
  const isEdge = (at > 0 && isWordCharacter(text.charCodeAt(at - 1))) !==
    (at < text.length && isWordCharacter(text.charCodeAt(at)));
  return isEdge === (place === "word-edge");
}
