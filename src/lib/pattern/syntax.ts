// The syntax of patterns: text to tree. Takes what people write in RabbitMQ's permissions and policies (a subset of PCRE)
// and refuses by name what cannot be matched in linear time (references back, possessive and atomic groups, recursion).

import { CharSet, NAMED_SETS, POSIX_SETS } from "./char_set.ts";

/** Longest pattern, characters. */
export const PATTERN_LENGTH_MAX = 4096;
const DEPTH_MAX = 64;
const REPEAT_MAX = 1000;

export type Node =
  | { readonly kind: "char"; readonly set: CharSet }
  | { readonly kind: "sequence"; readonly items: readonly Node[] }
  | { readonly kind: "choice"; readonly options: readonly Node[] }
  | { readonly kind: "repeat"; readonly item: Node; readonly min: number; readonly max: number }
  | { readonly kind: "place"; readonly place: Place }
  | { readonly kind: "look"; readonly item: Node; readonly isAhead: boolean; readonly isNegative: boolean };

/** What may be asked of a place between two characters. */
export type Place = "start" | "end" | "word-edge" | "no-word-edge";

/** A pattern that cannot be used, and where in it. */
export class PatternFault extends Error {
  override readonly name = "PatternFault";
}

/** Throws a PatternFault. */
export function parsePattern(text: string): Node {
  if (text.length > PATTERN_LENGTH_MAX) throw new PatternFault(`it is longer than ${PATTERN_LENGTH_MAX} characters`);
  const parser = new Parser(text);
  return parser.whole();
}

const ESCAPED_CHARACTERS: Readonly<Record<string, string>> = {
  t: "\t",
  n: "\n",
  r: "\r",
  f: "\f",
  e: "\x1b",
  a: "\x07",
  "0": "\0",
};
const PLACES: ReadonlyMap<string, Place> = new Map<string, Place>([
  ["A", "start"],
  ["z", "end"],
  ["Z", "end"],
  ["b", "word-edge"],
  ["B", "no-word-edge"],
]);

class Parser {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  #ignoresCase = false;
  #dotIsAll = false;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Node {
    const node = this.#choice();
    if (this.#at < this.#text.length) this.#fault("unmatched )");
    return node;
  }

  #choice(): Node {
    if (++this.#depth > DEPTH_MAX) this.#fault(`groups are nested deeper than ${DEPTH_MAX}`);
    const [ignoresCase, dotIsAll] = [this.#ignoresCase, this.#dotIsAll];
    const options = [this.#sequence()];
    while (this.#take("|")) options.push(this.#sequence());
    [this.#ignoresCase, this.#dotIsAll] = [ignoresCase, dotIsAll];
    this.#depth--;
    return options.length === 1 ? options[0]! : { kind: "choice", options };
  }

  #sequence(): Node {
    const items: Node[] = [];
    while (this.#at < this.#text.length && !this.#sees("|") && !this.#sees(")")) {
      if (this.#take("\\Q")) {
        this.#quoted(items);
        continue;
      }
      const item = this.#item();
      if (item !== null) items.push(this.#repeated(item));
    }
    return items.length === 1 ? items[0]! : { kind: "sequence", items };
  }

  /** `\Q...\E`: as it stands. */
  #quoted(items: Node[]): void {
    const end = this.#text.indexOf("\\E", this.#at);
    const to = end === -1 ? this.#text.length : end;
    for (const character of this.#text.slice(this.#at, to).split("")) items.push(this.#character(character));
    this.#at = end === -1 ? to : to + 2;
  }

  /** Null for what matches nothing by itself: a comment, a switch. */
  #item(): Node | null {
    const character = this.#text[this.#at++]!;
    switch (character) {
      case "(":
        return this.#group();
      case "[":
        return { kind: "char", set: this.#set() };
      case ".":
        return { kind: "char", set: this.#dotIsAll ? CharSet.all : CharSet.of("\n").inverse() };
      case "^":
        return { kind: "place", place: "start" };
      case "$":
        return { kind: "place", place: "end" };
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
        this.#at--;
        return this.#fault("nothing to repeat");
      default:
        return this.#character(character);
    }
  }

  #character(character: string): Node {
    const set = CharSet.of(character);
    return { kind: "char", set: this.#ignoresCase ? set.withBothCases() : set };
  }

  #escape(): Node {
    const name = this.#text[this.#at];
    const place = PLACES.get(name ?? "");
    if (place !== undefined) {
      this.#at++;
      return { kind: "place", place };
    }
    const set = this.#escapedSet();
    return { kind: "char", set: this.#ignoresCase ? set.withBothCases() : set };
  }

  /** What stands behind a backslash, inside a bracket or outside. */
  #escapedSet(): CharSet {
    const name = this.#text[this.#at++];
    if (name === undefined) return this.#fault("\\ at the end");
    const named = NAMED_SETS.get(name);
    if (named !== undefined) return named;
    if (name === "x" || name === "u") return CharSet.of(this.#hexadecimal(name));
    const escaped = ESCAPED_CHARACTERS[name];
    if (escaped !== undefined) return CharSet.of(escaped);
    if (/[1-9]/.test(name)) return this.#fault("references back are not supported", 2);
    if (/[a-zA-Z]/.test(name)) return this.#fault(`\\${name} is not supported`, 2);
    return CharSet.of(name);
  }

  #hexadecimal(name: string): string {
    const rest = this.#text.slice(this.#at);
    const found = /^\{([0-9a-fA-F]{1,4})\}/.exec(rest) ?? (name === "x" ? /^([0-9a-fA-F]{2})/ : /^([0-9a-fA-F]{4})/)
      .exec(rest);
    if (found === null) return this.#fault(`\\${name} without its hexadecimal digits`, 2);
    this.#at += found[0].length;
    return String.fromCharCode(parseInt(found[1]!, 16));
  }

  /** Behind a `[`. */
  #set(): CharSet {
    const from = this.#at;
    const isNegative = this.#take("^");
    const ranges: number[] = [];
    const add = (set: CharSet): void => void ranges.push(...set.ranges);
    for (let isFirst = true;; isFirst = false) {
      if (this.#at >= this.#text.length) {
        this.#at = from;
        this.#fault("missing ] for [");
      }
      if (this.#sees("]") && !isFirst) break;
      const posix = /^\[:(\^?)(\w+):\]/.exec(this.#text.slice(this.#at, this.#at + 16));
      if (posix !== null) {
        this.#at += posix[0].length;
        const set = POSIX_SETS.get(posix[2]!) ?? this.#fault(`unknown class ${posix[0]}`);
        add(posix[1] === "^" ? set.inverse() : set);
        continue;
      }
      const low = this.#setMember();
      const isRange = this.#sees("-") && this.#text[this.#at + 1] !== "]" && this.#at + 1 < this.#text.length;
      if (!isRange || low.single === null) {
        add(low);
        continue;
      }
      this.#at++;
      const high = this.#setMember();
      if (high.single === null || high.single < low.single) this.#fault("range out of order in [ ]");
      ranges.push(low.single, high.single!);
    }
    this.#at++;
    const set = new CharSet(ranges);
    const whole = this.#ignoresCase ? set.withBothCases() : set;
    return isNegative ? whole.inverse() : whole;
  }

  #setMember(): CharSet {
    const character = this.#text[this.#at++]!;
    if (character !== "\\") return CharSet.of(character);
    if (!this.#take("b")) return this.#escapedSet();
    return CharSet.of("\b");
  }

  /** Behind a `(`. */
  #group(): Node | null {
    const from = this.#at - 1;
    if (this.#sees("*")) this.#fault("(* is not supported");
    let look: { isAhead: boolean; isNegative: boolean } | null = null;
    const [ignoresCase, dotIsAll] = [this.#ignoresCase, this.#dotIsAll];
    if (this.#take("?")) {
      const rest = this.#text.slice(this.#at, this.#at + 256);
      const named = /^P?<[A-Za-z_]\w*>|^'[A-Za-z_]\w*'/.exec(rest);
      const switched = /^(-?)([is]+)([:)])/.exec(rest);
      if (rest.startsWith("#")) return this.#comment(from);
      if (this.#take("<=")) look = { isAhead: false, isNegative: false };
      else if (this.#take("<!")) look = { isAhead: false, isNegative: true };
      else if (this.#take("=")) look = { isAhead: true, isNegative: false };
      else if (this.#take("!")) look = { isAhead: true, isNegative: true };
      else if (named !== null) this.#at += named[0].length;
      else if (switched !== null) {
        this.#at += switched[0].length;
        if (switched[2]!.includes("i")) this.#ignoresCase = switched[1] === "";
        if (switched[2]!.includes("s")) this.#dotIsAll = switched[1] === "";
        // Until the end of the group around it.
        if (switched[3] === ")") return null;
      } else if (!this.#take(":")) this.#fault(`(?${rest.charAt(0)} is not supported`);
    }
    const item = this.#choice();
    [this.#ignoresCase, this.#dotIsAll] = [ignoresCase, dotIsAll];
    if (!this.#take(")")) {
      this.#at = from;
      this.#fault("missing ) for (");
    }
    return look === null ? item : { kind: "look", item, ...look };
  }

  #comment(from: number): null {
    const end = this.#text.indexOf(")", this.#at);
    if (end === -1) {
      this.#at = from;
      this.#fault("missing ) for (");
    }
    this.#at = end + 1;
    return null;
  }

  #repeated(item: Node): Node {
    const rest = this.#text.slice(this.#at, this.#at + 16);
    const found = /^(?:[*+?]|\{(\d{1,5})(,?)(\d{0,5})\})/.exec(rest);
    if (found === null) return item;
    const [text, low, comma, high] = found;
    let [min, max] = [text === "+" ? 1 : 0, text === "?" ? 1 : Infinity];
    if (low !== undefined) {
      min = Number(low);
      max = comma === "" ? min : high === "" ? Infinity : Number(high);
      if (max < min) this.#fault("numbers out of order in { }");
      if (min > REPEAT_MAX || (max !== Infinity && max > REPEAT_MAX)) this.#fault(`more than ${REPEAT_MAX} in { }`);
    }
    this.#at += text.length;
    if (this.#sees("+")) this.#fault(`${text}+ is not supported`);
    // Whether a match is the shortest or the longest makes no difference to whether there is one.
    this.#take("?");
    if (/^[*+?]|^\{\d+(,\d*)?\}/.test(this.#text.slice(this.#at))) this.#fault("nothing to repeat");
    return { kind: "repeat", item, min, max };
  }

  #sees(text: string): boolean {
    return this.#text.startsWith(text, this.#at);
  }

  #take(text: string): boolean {
    if (!this.#sees(text)) return false;
    this.#at += text.length;
    return true;
  }

  #fault(what: string, back = 0): never {
    throw new PatternFault(`${what} at character ${this.#at - back + 1}`);
  }
}
