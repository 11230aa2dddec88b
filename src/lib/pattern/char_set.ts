// A set of characters (UTF-16 code units), as ranges.

const LAST = 0xffff;

export class CharSet {
  static readonly all = new CharSet([0, LAST]);
  /** First and last of each range, ascending, apart from each other. */
  readonly ranges: readonly number[];

  /** `ranges`: first and last of each, in any order. */
  constructor(ranges: readonly number[]) {
    const pairs: [number, number][] = [];
    for (let i = 0; i < ranges.length; i += 2) pairs.push([ranges[i]!, ranges[i + 1]!]);
    pairs.sort((a, b) => a[0] - b[0]);
    const merged: number[] = [];
    for (const [first, last] of pairs) {
      if (merged.length > 0 && first <= merged.at(-1)! + 1) merged[merged.length - 1] = Math.max(merged.at(-1)!, last);
      else merged.push(first, last);
    }
    this.ranges = merged;
  }

  /** The characters of a text. */
  static of(characters: string): CharSet {
    return new CharSet(characters.split("").flatMap((one) => [one.charCodeAt(0), one.charCodeAt(0)]));
  }

  /** The one character in it; null when it is not one. */
  get single(): number | null {
    const [first, last] = this.ranges;
    return this.ranges.length === 2 && first === last ? first! : null;
  }

  has(code: number): boolean {
    const { ranges } = this;
    for (let i = 0; i < ranges.length; i += 2) {
      if (code < ranges[i]!) return false;
      if (code <= ranges[i + 1]!) return true;
    }
    return false;
  }

  inverse(): CharSet {
    const ranges: number[] = [];
    let next = 0;
    for (let i = 0; i < this.ranges.length; i += 2) {
      if (this.ranges[i]! > next) ranges.push(next, this.ranges[i]! - 1);
      next = this.ranges[i + 1]! + 1;
    }
    if (next <= LAST) ranges.push(next, LAST);
    return new CharSet(ranges);
  }

  /** With the letters a to z in both cases, if in one. */
  withBothCases(): CharSet {
    const ranges = [...this.ranges];
    for (let i = 0; i < this.ranges.length; i += 2) {
      addShifted(ranges, this.ranges[i]!, this.ranges[i + 1]!, "A", "Z", 32);
      addShifted(ranges, this.ranges[i]!, this.ranges[i + 1]!, "a", "z", -32);
    }
    return new CharSet(ranges);
  }
}

function addShifted(ranges: number[], first: number, last: number, from: string, to: string, shift: number): void {
  const low = Math.max(first, from.charCodeAt(0));
  const high = Math.min(last, to.charCodeAt(0));
  if (low <= high) ranges.push(low + shift, high + shift);
}

function rangesOf(...pairs: readonly string[]): CharSet {
  return new CharSet(pairs.flatMap((pair) => [pair.charCodeAt(0), pair.charCodeAt(1)]));
}

const DIGITS = rangesOf("09");
const WORD = rangesOf("09", "AZ", "az", "__");
const SPACE = CharSet.of(" \t\n\v\f\r");
const BLANK = CharSet.of(" \t");

/** Behind a backslash. */
export const NAMED_SETS: ReadonlyMap<string, CharSet> = new Map([
  ["d", DIGITS],
  ["D", DIGITS.inverse()],
  ["w", WORD],
  ["W", WORD.inverse()],
  ["s", SPACE],
  ["S", SPACE.inverse()],
  ["h", BLANK],
  ["H", BLANK.inverse()],
  ["N", CharSet.of("\n").inverse()],
]);

/** Between `[:` and `:]`. */
export const POSIX_SETS: ReadonlyMap<string, CharSet> = new Map([
  ["alnum", rangesOf("09", "AZ", "az")],
  ["alpha", rangesOf("AZ", "az")],
  ["blank", BLANK],
  ["cntrl", rangesOf("\x00\x1f", "\x7f\x7f")],
  ["digit", DIGITS],
  ["graph", rangesOf("!~")],
  ["lower", rangesOf("az")],
  ["print", rangesOf(" ~")],
  ["punct", rangesOf("!/", ":@", "[`", "{~")],
  ["space", SPACE],
  ["upper", rangesOf("AZ")],
  ["word", WORD],
  ["xdigit", rangesOf("09", "AF", "af")],
]);

export function isWordCharacter(code: number): boolean {
  return WORD.has(code);
}
